"""States and tables made again from the log while the live ones are used, and swapped."""
