"""What the command line does: one module per concern, each function called by one command of :mod:`pipeline.cli`."""
