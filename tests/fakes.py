"""Real, small stand-ins for what the flow talks to; no patching."""

from collections.abc import Mapping, Sequence

from pipeline.core.risk.messages import ChurnAlert
from pipeline.core.state.customer import Customer, decode_state
from pipeline.errors import Transient
from pipeline.records import AlertUpdate, DeadLetter


class MemoryStates:
    """States as bytes, as the changelog would give them back."""

    def __init__(self) -> None:
        self.values: dict[tuple[int, bytes], bytes] = {}

    def read(self, partition: int, customer_id: bytes) -> Customer | None:
        value = self.values.get((partition, customer_id))
        return decode_state(value) if value is not None else None

    def piece(self, partition: int, key: bytes) -> bytes | None:
        return self.values.get((partition, key))

    def write(self, partition: int, values: Mapping[bytes, bytes], last: int) -> None:
        self.values.update({(partition, key): value for key, value in values.items()})


class RecordingOutputs:
    """Remembers the order of what it was given; can be told to fail at a step."""

    def __init__(self, fail_at: str = "") -> None:
        self.steps: list[str] = []
        self.alerts: list[ChurnAlert] = []
        self.dead: list[DeadLetter] = []
        self.changed: dict[bytes, bytes] = {}
        self._fail_at = fail_at

    def _step(self, name: str) -> None:
        if name == self._fail_at:
            raise Transient(f"{name} could not be sent")
        self.steps.append(name)

    async def effects(self, partition: int, news: Sequence[AlertUpdate], dead: Sequence[DeadLetter]) -> None:
        self._step("effects")
        self.alerts.extend(item.alert for item in news)
        self.dead.extend(dead)

    async def pieces(self, partition: int, values: Mapping[bytes, bytes]) -> int:
        self._step("pieces")
        self.changed.update(values)
        return len(self.steps)

    async def states(self, partition: int, values: Mapping[bytes, bytes]) -> int:
        self._step("states")
        self.changed.update(values)
        return len(self.steps)
