"""Imports a firm's history from files as events.

Two passes: the first reads everything and sends nothing (``checking``), the second sends what fits (``sending``) and
notes in a file next to the input how far the broker has confirmed it (``note``).
"""
