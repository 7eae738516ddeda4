"""The words of the product, each defined once."""
