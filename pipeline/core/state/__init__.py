"""The state of one customer, kept small, exact and erasable."""
