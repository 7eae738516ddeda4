"""Kafka and the warehouse as child processes: the one-command stack."""
