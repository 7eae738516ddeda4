"""States and tables made again from the log beside the live ones, and swapped."""
