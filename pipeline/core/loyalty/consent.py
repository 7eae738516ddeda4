"""Consent to surveys. Sending one is advertising (BGH, 10 July 2018, VI ZR 225/17), which needs consent."""

from pipeline.core.definition import Definition
from pipeline.core.state.customer import Customer

LAW = "§ 7(3) UWG; BGH VI ZR 225/17"


def may_survey(customer: Customer, now: int) -> bool:
    """Whether a survey may be sent at ``now``: with consent, or to an existing customer by the exception."""
    consent = customer.stated.consent if customer.stated is not None else None
    if consent is None or consent.at > now:
        return False
    bought = customer.first_purchase_at is not None and customer.first_purchase_at <= now
    return consent.status == "granted" or (consent.status == "existing_customer" and bought)


DEFINITIONS = (
    Definition(
        "survey_consent",
        1,
        "Whether the customer agreed to be asked: granted, withdrawn, existing_customer, or empty: nobody knows. "
        "Their own newest word counts; a no outlasts a claimed exception.",
        "",
        LAW,
    ),
    Definition("granted", 1, "The customer agreed to be asked in a survey.", "", LAW),
    Definition(
        "withdrawn",
        1,
        "Of consent: the customer does not want to be asked. Of an alert: it was taken back, "
        "because with all events known there was no risk.",
        "",
        LAW,
    ),
    Definition(
        "existing_customer", 1, "The exception for existing customers is claimed; nothing for prospects.", "", LAW
    ),
    Definition("may_survey", 1, "A survey may be sent: consent, or a customer under the exception.", "", LAW),
)
