"""``python -m pipeline`` is the command ``loyalty``."""

from pipeline.cli import main

main()
