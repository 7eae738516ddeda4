"""What events mean. Pure: no Kafka, no clock, no I/O, no logging, no configuration.

``decode(topic kind, bytes, appended_at) -> event`` and ``step(customer, event, where) -> Step`` are the whole surface;
everything else here serves these two. Imports the standard library, msgspec and itself.
"""
