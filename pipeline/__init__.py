"""Loyalty Pipeline: how loyal each customer is, and who is about to leave after a bad service experience.

Start reading at :mod:`pipeline.flow`: the whole pipeline on one page.
"""

__version__ = "0.6.0"
