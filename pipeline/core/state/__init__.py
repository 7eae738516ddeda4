"""One customer as the pipeline remembers them, and how that is kept small, exact and erasable."""
