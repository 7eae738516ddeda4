"""Learning from history: the only place that needs numpy, scipy and matplotlib (the extra ``fit``).

What is learned is written as parameters that ``pipeline.core`` evaluates without any of them.
"""
