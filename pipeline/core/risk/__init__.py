"""How likely a customer is to leave after a service contact, and when the desk is told."""
