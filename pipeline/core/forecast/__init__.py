"""Forecasts of what a customer will buy and spend: published purchase models with learned parameters."""
