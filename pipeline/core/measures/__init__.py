"""Figures over many customers: surveys, effort, shifts of loyalty, the effect of acting; each with its interval."""
