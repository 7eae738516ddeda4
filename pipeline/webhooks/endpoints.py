"""Who is told: the file of webhook endpoints, which holds secrets and is its owner's alone.

Rules
-----
- The file is replaced whole, under a lock, with mode 0600; one that others can read is refused.
- Nothing of an endpoint that is secret is ever shown: secrets, credentials, and the parts of a URL that may hold some.
- What can be judged without a look-up is refused when an endpoint is added (:mod:`.endpoint_rules`); the address is
  judged when a connection is made (:mod:`.addresses`).
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from yarl import URL

from pipeline import files
from pipeline.core.risk.messages import ChurnAlert
from pipeline.core.state.customer import Severity
from pipeline.errors import Refused
from pipeline.webhooks.catalogue import Language
from pipeline.webhooks.signing import OVERLAP, Secret, new_secret

Shape = Literal["standard", "alertmanager", "pagerduty", "jira", "zendesk", "slack", "teams"]
SECRET_PATHS = ("slack", "teams")
"""Shapes whose receivers put a secret into the path of the URL."""
ENDINGS = ("eased", "resolved", "closed", "withdrawn")
"""Transitions that every endpoint hears of: whoever was told that an alert is open must hear that it is not."""
MOST_ROTATIONS = 2
"""How many rotations there may be within the time an old secret stays valid."""


class Endpoint(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A receiver of alerts."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}\Z")]
    url: str
    shape: Shape = "standard"
    language: Language = "en"
    severities: tuple[Severity, ...] = ()
    """Of which alerts it is told; empty for all."""
    headers: dict[str, str] = {}
    """Sent with every request."""
    secrets: tuple[Secret, ...] = ()
    """What signs, the newest first."""
    credentials: dict[str, str] = {}
    """What the shape needs to be let in, by name (:data:`.endpoint_rules.CREDENTIALS`)."""
    allow_private: bool = False
    """Whether it may be on a private address."""
    enabled: bool = True
    disabled_because: str = ""
    created_at: Annotated[datetime, Meta(tz=True)]
    disabled_at: datetime | None = None

    @property
    def shown_url(self) -> str:
        """The URL without what may be secret in it."""
        try:
            url = URL(self.url)
            path = "/…" if self.shape in SECRET_PATHS else url.raw_path
            return f"{url.scheme}://{url.raw_host}:{url.port}{path}"
        except ValueError:
            return "(not a URL)"

    def __repr__(self) -> str:
        """What may be read in a log."""
        return f"Endpoint({self.id}, {self.shape}, {self.shown_url}, {'enabled' if self.enabled else 'disabled'})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The same for rich; msgspec's own would show every field."""
        return [("id", self.id), ("shape", self.shape), ("url", self.shown_url), ("enabled", self.enabled)]


def wants(endpoint: Endpoint, alert: ChurnAlert) -> bool:
    """Whether an endpoint is told of a message."""
    severe = not endpoint.severities or alert.severity in endpoint.severities
    return endpoint.enabled and (severe or alert.transition in ENDINGS)


def rotate(endpoint: Endpoint, now: datetime) -> Endpoint:
    """Give an endpoint a new secret; the one before it stays valid for a day.

    Raises
    ------
    Refused
        It would be the third within a day: a receiver could not follow.
    """
    overlapping = [secret for secret in endpoint.secrets if secret.until is not None and now < secret.until]
    if len(overlapping) >= MOST_ROTATIONS:
        raise Refused(f"{endpoint.id} has had two new secrets within a day; the next one is possible when one expires")
    newest = [msgspec.structs.replace(secret, until=now + OVERLAP) for secret in endpoint.secrets if not secret.until]
    return msgspec.structs.replace(endpoint, secrets=(new_secret(now), *newest, *overlapping))


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: Literal["loyalty-webhooks"] = "loyalty-webhooks"
    format: Literal[1] = 1
    endpoints: list[Endpoint]


class EndpointFile:
    """The file of endpoints; one that is not there yet holds none."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()

    def __repr__(self) -> str:
        """Where it is."""
        return f"EndpointFile({self._path})"

    def read(self) -> dict[str, Endpoint]:
        """The endpoints by id.

        Raises
        ------
        Refused
            The file can be read by others, or is no file of endpoints.
        """
        try:
            with self._path.open("rb") as file:
                self._refuse_shared(os.fstat(file.fileno()).st_mode)
                content = file.read()
        except FileNotFoundError:
            return {}
        try:
            endpoints = msgspec.json.decode(content, type=_File).endpoints
        except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
            raise Refused(f"{self._path} is no file of webhook endpoints: {wrong}") from None
        return {endpoint.id: endpoint for endpoint in endpoints}

    def _refuse_shared(self, mode: int) -> None:
        if mode & 0o077:
            raise Refused(
                f"others can read the secrets in {self._path}; run `chmod 600 {self._path}`, then rotate them"
            )

    def change(self, function: Callable[[dict[str, Endpoint]], dict[str, Endpoint]]) -> dict[str, Endpoint]:
        """Replace the endpoints by what ``function`` makes of them, all or none, one change after the other.

        Raises
        ------
        Refused
            The file cannot be used; it is as it was.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked():
            endpoints = function(self.read())
            content = msgspec.json.encode(_File(endpoints=list(endpoints.values())))
            with files.Growing(self._path) as growing:
                growing.file.write(msgspec.json.format(content, indent=2) + b"\n")
                growing.file.flush()
                os.fsync(growing.file.fileno())
                growing.appear()
        return endpoints

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """While this lasts nobody else changes the file; the lock is a file of its own, since this one is replaced."""
        lock = self._path.with_name(f".{self._path.name}.lock")
        number = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE)
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            yield
        finally:
            os.close(number)

    def stamp(self) -> tuple[int, ...]:
        """What differs when the file was replaced or written to; empty when there is none."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return ()
        return (status.st_ino, status.st_mtime_ns, status.st_size)
