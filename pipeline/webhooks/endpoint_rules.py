"""What is refused when an endpoint is added, before anything is looked up."""

from collections.abc import Collection

from pipeline.webhooks.endpoints import Endpoint


def check(endpoint: Endpoint, listens: Collection[tuple[str, int]]) -> None:
    """Refuse an endpoint that could never be used, or not safely.

    Raises
    ------
    Refused
        It says what is wrong with it, and shows nothing secret.
    """
    raise NotImplementedError
