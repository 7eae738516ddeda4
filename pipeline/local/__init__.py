"""The one-command stack: Kafka, the warehouse, worker and sink as child processes on one machine."""
