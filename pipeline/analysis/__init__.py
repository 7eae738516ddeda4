"""Answers about customers, alerts, reports and models, computed from the warehouse or the log; prints nothing."""
