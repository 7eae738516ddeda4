"""How loyal a customer is at a moment: attachment, binding, segment, lifecycle, satisfaction."""
