"""The glossary: every term of the product, defined once."""
