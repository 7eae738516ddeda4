"""How we say to Kafka who we are, and how we know that it is Kafka: one set of settings, for every client library.

Rules
-----
- Passwords come from files only, are read when a client is made, and stand in no message, log line or representation.
- Without TLS a password goes to loopback addresses only (``pipeline.config`` refuses anything else).
- A refusal of the broker's is told at once, by the name of the setting to look at; the clients would try for ever.
"""

import ssl
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError

from pipeline.config import Settings, variable
from pipeline.errors import Refused


def for_librdkafka(settings: Settings) -> dict[str, Any]:
    """The options of a librdkafka client."""
    options: dict[str, Any] = {"security.protocol": settings.kafka_security}
    if settings.kafka_ca_file:
        tls_context(settings)  # says in a clear line what is wrong with the file
        options["ssl.ca.location"] = settings.kafka_ca_file
    if settings.kafka_signs_in:
        options["sasl.mechanism"] = settings.kafka_mechanism
        options["sasl.username"] = settings.kafka_user
        options["sasl.password"] = settings.kafka_password()
    return options


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The context with which an asyncio client verifies the broker; ``None`` without TLS.

    Raises
    ------
    Refused
        The file of authorities cannot be used.
    """
    if not settings.kafka_uses_tls:
        return None
    return trusted(settings.kafka_ca_file, "kafka_ca_file")


def trusted(authorities: str, setting: str) -> ssl.SSLContext:
    """The context that verifies a server by a file of authorities, or by the system's when there is no file.

    Raises
    ------
    Refused
        The file that the setting names cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=authorities or None)
    except OSError as failed:  # ssl.SSLError is one
        raise Refused(f"{variable(setting)} cannot be used: {failed.strerror or 'no certificates in it'}") from None


def check_refusals(settings: Settings, errors: Sequence[KafkaError]) -> None:
    """Look through what a client met before it gave up.

    Raises
    ------
    Refused
        The broker does not let us in, or we do not trust it: trying again is of no use.
    """
    codes = {error.code() for error in errors}
    if KafkaError._AUTHENTICATION in codes:
        raise Refused(
            f"Kafka at {settings.kafka} refuses the user {settings.kafka_user!r} or the password; check "
            "LOYALTY_KAFKA_USER, LOYALTY_KAFKA_PASSWORD_FILE and LOYALTY_KAFKA_MECHANISM"
        )
    if KafkaError._SSL in codes:
        raise Refused(
            f"the certificate of Kafka at {settings.kafka} cannot be verified; check LOYALTY_KAFKA_CA_FILE, "
            "and that the certificate names that address"
        )
    if any("SSL handshake failed" in error.str() for error in errors):
        raise Refused(f"Kafka at {settings.kafka} does not speak TLS; check LOYALTY_KAFKA_SECURITY")
