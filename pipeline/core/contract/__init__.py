"""What comes in: the four events, how bytes become one of them, and what is refused."""
