"""How the command line prints: one module per kind of answer."""
