"""The embedded warehouse as one of a field's processes."""

from tests.faults.field import Field
from tests.stacks import eventually, free_ports
from tests.warehouses import answers


def with_warehouse(field: Field) -> None:
    """Start a warehouse; sinks started after this write to it."""
    field.settings = field.settings.with_changes(clickhouse=f"http://127.0.0.1:{free_ports(1)[0]}")
    field.warehouse()
    eventually(lambda: answers(field.settings), 30, "the warehouse answers")
