"""The loyalty of a customer at a moment: attachment, binding, segment, lifecycle, satisfaction."""
