"""Credentials for Faust's own clients.

Faust takes SASL credentials without a TLS context as leave to send them in plain text; ``pipeline.config`` allows that
to loopback addresses only.
"""

from typing import Any

import faust.auth

from pipeline.config import Settings
from pipeline.kafka.security import tls_context


def broker_credentials(settings: Settings) -> Any:
    """The value for ``faust.App(broker_credentials=...)``."""
    context = tls_context(settings)
    if settings.kafka_signs_in:
        return faust.auth.SASLCredentials(
            username=settings.kafka_user,
            password=settings.kafka_password(),
            ssl_context=context,
            mechanism=settings.kafka_mechanism,
        )
    return faust.auth.SSLCredentials(context) if context is not None else None
