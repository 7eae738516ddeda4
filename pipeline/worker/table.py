"""The state: one Faust table, keyed by customer, backed by the compacted topic ``customer-states``.

Rules
-----
- A value is written to the changelog and confirmed by the broker before the table shows it (``pipeline.flow``, step 4);
  Faust's own changelog producer, which does not wait, is not used.
- Values that came back through recovery stay bytes until they are needed.
"""

from collections.abc import Mapping
from typing import Any

import faust
import msgspec

from pipeline.core.customer import Customer, decode_state
from pipeline.errors import BadEvent, Reason, Refused


class CustomerTable(faust.Table):  # type: ignore[misc]
    """Faust's table with reads and writes per partition."""

    def read(self, partition: int, customer_id: bytes) -> Customer | None:
        """A customer of a partition; ``None`` when nothing is known of them *there*, whatever is known elsewhere."""
        if self.data._key_partition.get(customer_id) != partition:
            return None
        value = self.data.data.get(customer_id)
        if isinstance(value, bytes):
            value = _decoded(value)
            self.data.data[customer_id] = value
        return value  # type: ignore[no-any-return]

    def write(self, partition: int, changed: Mapping[bytes, Customer]) -> None:
        """Show confirmed customers."""
        self.data.data.update(changed)
        self.data._key_partition.update(dict.fromkeys(changed, partition))

    def on_key_set(self, key: Any, value: Any) -> None:
        """Refuse Faust's unconfirmed write."""
        raise TypeError("customers are written through CustomerTable.write, after their changelog was confirmed")


def _decoded(value: bytes) -> Customer:
    """A state of another version stops the worker, for it concerns every customer; a broken one concerns its own."""
    try:
        return decode_state(value)
    except msgspec.MsgspecError:  # is a ValueError too
        raise BadEvent(Reason.STATE_UNREADABLE, "the customer's state in customer-states is not one of ours") from None
    except ValueError as unknown:
        raise Refused(f"the state in customer-states cannot be read: {unknown}") from None
