"""The contract of input events: the four events, their decoding from bytes, and the reasons for rejection."""
