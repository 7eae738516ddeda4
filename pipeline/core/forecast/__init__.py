"""What a customer will buy and spend: published purchase models, evaluated with what was learned."""
