"""The embedded warehouse as one of a field's processes."""

import urllib.request

from tests.faults.field import Field
from tests.stacks import eventually, free_ports


def with_warehouse(field: Field) -> None:
    """Start a warehouse; sinks started after this write to it."""
    field.settings = field.settings.with_changes(clickhouse=f"http://127.0.0.1:{free_ports(1)[0]}")
    field.warehouse()
    eventually(lambda: _answers(field), 30, "the warehouse answers")


def _answers(field: Field) -> bool:
    try:
        with urllib.request.urlopen(f"{field.settings.clickhouse}/ping", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
