"""What events mean. Pure: no Kafka, no clock, no I/O, no logging, no configuration.

``decode(topic kind, bytes, appended_at) -> event`` and ``step(customer, event, where) -> Step`` are what the worker
needs; ``purchasing`` and ``spending`` answer questions about a customer at any time. Imports the standard library,
msgspec and itself.
"""
