"""A firm's history, out of its files, into events.

Two passes: the first reads everything and sends nothing (``checking``), the second sends what fits (``sending``) and
notes beside the file how far the broker has confirmed it (``note``).
"""
