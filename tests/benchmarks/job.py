"""What an engine under measurement is told: one JSON argument. Standard library only, for every engine reads it."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Which Kafka, which topics, under which name."""

    kafka: str
    prefix: str
    """Stands before every topic's name."""
    name: str
    partitions: int
    directory: str
    client: str = "librdkafka"
    """Of the floor: the client that consumes."""
    decode: bool = True
    """Of the floor: whether records are decoded too."""

    @property
    def group(self) -> str:
        """The engine's own consumer group."""
        return f"{self.prefix}{self.name}"

    @property
    def alerts(self) -> str:
        """The engine's own topic for alerts."""
        return f"{self.prefix}{self.name}.alerts"

    def as_argument(self) -> str:
        """The job for a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_argument(cls, text: str) -> "Job":
        """The inverse of :meth:`as_argument`."""
        return cls(**json.loads(text))
