"""Customers who were erased: the list of them, and finding and removing what names them."""
