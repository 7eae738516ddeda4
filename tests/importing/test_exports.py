"""What two widely used systems export imports with the mapping that ships for it, without a reject that is not one.

The columns are those the systems export. Everybody and everything in the rows is made up.
"""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.importing import mapping
from tests.importing.files import Trial

SHOPIFY = """
Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,Currency,Subtotal,
Shipping,Taxes,Total,Discount Code,Discount Amount,Shipping Method,Created at,Lineitem quantity,
Lineitem name,Lineitem price,Lineitem compare at price,Lineitem sku,Lineitem requires shipping,
Lineitem taxable,Lineitem fulfillment status,Billing Name,Billing Street,Billing Address1,Billing Address2,
Billing Company,Billing City,Billing Zip,Billing Province,Billing Country,Billing Phone,Shipping Name,
Shipping Street,Shipping Address1,Shipping Address2,Shipping Company,Shipping City,Shipping Zip,
Shipping Province,Shipping Country,Shipping Phone,Notes,Note Attributes,Cancelled at,Payment Method,
Payment Reference,Refunded Amount,Vendor,Outstanding Balance,Employee,Location,Device ID,Id,Tags,Risk Level,
Source,Lineitem discount,Tax 1 Name,Tax 1 Value,Tax 2 Name,Tax 2 Value,Tax 3 Name,Tax 3 Value,Tax 4 Name,
Tax 4 Value,Tax 5 Name,Tax 5 Value,Phone,Receipt Number,Duties,Billing Province Name,Shipping Province Name,
Payment ID,Payment Terms Name,Next Payment Due At,Payment References
"""
ZENDESK = """
Summation column,Id,Requester,Requester id,Requester external id,Requester email,Requester domain,Submitter,
Assignee,Group,Subject,Tags,Status,Priority,Via,Ticket type,Created at,Updated at,Assigned at,Organization,
Due date,Initially assigned at,Solved at,Resolution time,Satisfaction Score,Group stations,
Assignee stations,Reopens,Replies,First reply time in minutes,
First reply time in minutes within business hours,First resolution time in minutes,
First resolution time in minutes within business hours,Full resolution time in minutes,
Full resolution time in minutes within business hours,Agent wait time in minutes,
Agent wait time in minutes within business hours,Requester wait time in minutes,
Requester wait time in minutes within business hours,On hold time in minutes,
On hold time in minutes within business hours
"""


def exported(columns: str, rows: list[dict[str, str]]) -> bytes:
    written = io.StringIO()
    writer = csv.DictWriter(written, columns.replace("\n", "").split(","), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue().encode()


def order(name: str, **said: str) -> dict[str, str]:
    """The first row of an order."""
    return {
        "Name": name, "Email": "Ann.Madeup@Example.org", "Financial Status": "paid", "Currency": "EUR",
        "Total": "34.98",
        "Created at": "2024-05-01 09:58:12 +0200", "Lineitem quantity": "2", "Lineitem name": "Tee - Black / S",
        "Refunded Amount": "0.00", "Source": "web", "Vendor": "Made up", "Notes": "made up;\nfor a test, \"quoted\"",
    } | {column.replace("_", " "): value for column, value in said.items()}  # fmt: skip


def line(name: str, what: str) -> dict[str, str]:
    """A row below it."""
    return {"Name": name, "Lineitem quantity": "1", "Lineitem name": what, "Vendor": "Made up"}


ORDERS = [
    order("#1006"), line("#1006", "Mug"),
    order("#1005", Financial_Status="partially_refunded", Refunded_Amount="5.00", Source="pos"), line("#1005", "Mug"),
    order("#1004", Financial_Status="refunded", Refunded_Amount="34.98", Cancelled_at="2024-05-03 08:00:00 +0200"),
    order("#1003", Financial_Status="voided", Cancelled_at="2024-05-03 08:00:00 +0200"), line("#1003", "Mug"),
    order("#1002", Financial_Status="pending"), line("#1002", "Mug"), line("#1002", "Cap"),
    order("#1001", Email="", Source="580111"), line("#1001", "Mug"),
]  # fmt: skip


def ticket(number: int, **said: str) -> dict[str, str]:
    """A ticket, solved unless it says otherwise."""
    return {
        "Summation column": "1", "Id": str(number), "Requester": "Ben Madeup",
        "Requester email": "Ben.Madeup@Example.org",
        "Requester domain": "example.org", "Subject": "made up, for a test", "Status": "Closed", "Via": "Mail",
        "Ticket type": "Problem", "Created at": "2024-03-01 09:15", "Updated at": "2024-03-05 11:00",
        "Solved at": "2024-03-04 16:20", "Requester wait time in minutes": "1530", "Group stations": "2",
    } | {column.replace("_", " "): value for column, value in said.items()}  # fmt: skip


TICKETS = [
    ticket(41), ticket(42, Status="Open", Solved_at="", Via="Web form", Ticket_type="Question"),
    ticket(43, Status="New", Solved_at="", Via="Phone call (incoming)", Ticket_type="",
           Requester_wait_time_in_minutes=""),
    ticket(44, Status="Solved", Via="Closed Ticket", Ticket_type="Incident"), ticket(45, Status="Deleted"),
    ticket(46, Tags="closed_by_merge"), ticket(47, Requester_email=""),
]  # fmt: skip


def imported(directory: Path, name: str, content: bytes) -> tuple[list[dict[str, Any]], dict[str, int]]:
    checked, made = Trial(directory, mapping.example(name), "export.csv", content).run()
    assert (checked.rejected, checked.warnings, checked.same_id) == (0, [], 0)
    return [json.loads(each.value) for each in made], dict(checked.left_out)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["as it is", "saved again by a spreadsheet"])
def test_orders_of_shopify_are_purchases_with_lines_and_refunds(tmp_path: Path, mark: bytes) -> None:
    events, left_out = imported(tmp_path, "shopify_orders", mark + exported(SHOPIFY, ORDERS))
    assert [(event["event_id"], event["amount"], event.get("refund_of")) for event in events] == [
        ("shopify-#1006", "34.98", None),
        ("shopify-#1005", "34.98", None), ("shopify-#1005-refund", "-5.00", "#1005"),
        ("shopify-#1004", "34.98", None), ("shopify-#1004-refund", "-34.98", "#1004"),
    ]  # fmt: skip
    first = events[0]
    assert (first["customer_id"], first["occurred_at"], first["channel"]) == (
        "ann.madeup@example.org", "2024-05-01T07:58:12+00:00", "web",
    )  # fmt: skip
    assert first["lines"] == [{"category": "Tee - Black / S", "quantity": 2}, {"category": "Mug", "quantity": 1}]
    assert events[1]["channel"] == "store"
    assert left_out == {
        "Financial Status is authorized or expired or pending or voided": 5, "Email is empty": 2,
    }  # fmt: skip


def test_tickets_of_zendesk_are_service_contacts(tmp_path: Path) -> None:
    events, left_out = imported(tmp_path, "zendesk_tickets", exported(ZENDESK, TICKETS))
    said = [(e["contact_id"], e["stage"], e["resolved"], e["channel"], e["kind"]) for e in events]
    assert said == [
        ("41", "resolved", True, "email", "complaint"), ("42", "updated", False, "web", "question"),
        ("43", "opened", False, "phone", "question"), ("44", "resolved", True, "other", "complaint"),
    ]  # fmt: skip
    assert events[0]["waiting_seconds"] == 1530 * 60
    assert (events[0]["opened_at"], events[0]["closed_at"]) == (
        "2024-03-01T08:15:00+00:00",
        "2024-03-04T15:20:00+00:00",
    )
    assert "closed_at" not in events[1]
    assert left_out == {"Status is Deleted or deleted": 1, "Tags is closed_by_merge": 1, "Requester email is empty": 1}
