"""Kafka through librdkafka: clients, topics, offsets, reading and confirmed sends.

What most callers need is named here; the modules say the rest.
"""

from pipeline.kafka.client import MAX_BYTES, Headers, admin, client_config, consumer, metadata, producer
from pipeline.kafka.offsets import commit_note, committed, end_offset, end_offsets, whole_ranges
from pipeline.kafka.reader import SILENCE_SECONDS, header_of, headers_of, read_range, read_ranges, reading, record_of
from pipeline.kafka.sending import Sending, flush, send_confirmed
from pipeline.kafka.topic_admin import (
    check_controller,
    create_topics,
    members,
    staying,
    topic_settings,
    verify_topics,
)

__all__ = [
    "MAX_BYTES",
    "SILENCE_SECONDS",
    "Headers",
    "Sending",
    "admin",
    "check_controller",
    "client_config",
    "commit_note",
    "committed",
    "consumer",
    "create_topics",
    "end_offset",
    "end_offsets",
    "flush",
    "header_of",
    "headers_of",
    "members",
    "metadata",
    "producer",
    "read_range",
    "read_ranges",
    "reading",
    "record_of",
    "send_confirmed",
    "staying",
    "topic_settings",
    "verify_topics",
    "whole_ranges",
]
