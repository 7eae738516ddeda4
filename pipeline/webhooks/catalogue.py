"""The catalogue: every word receivers read, in each language. English sentences about terms stand with the risk.

A plain table: both languages of a phrase stand side by side, so that one cannot be forgotten, and nothing has to be
compiled. Keyed by the names of terms, transitions, severities and statuses, which have no language.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from pipeline.core.risk.alert_text import IN_FAVOUR, LEFT_ALONE
from pipeline.core.risk.messages import Transition
from pipeline.core.risk.wording import CALL_BACK, CALL_TODAY, CHECK, SOLVE
from pipeline.core.state.customer import Severity, Status

Language = Literal["en", "de"]


class Words(NamedTuple):
    """One phrase in every language."""

    en: str
    de: str

    def of(self, language: Language) -> str:
        """The phrase in one of them."""
        return self.en if language == "en" else self.de


TRANSITIONS: Final[dict[Transition, Words]] = {
    "raised": Words("New", "Neu"),
    "escalated": Words("Escalated", "Verschärft"),
    "eased": Words("Eased", "Entspannt"),
    "updated": Words("Updated", "Aktualisiert"),
    "resolved": Words("Resolved", "Erledigt"),
    "closed": Words("Closed", "Abgeschlossen"),
    "reopened": Words("Reopened", "Wieder offen"),
    "withdrawn": Words("Withdrawn", "Zurückgenommen"),
}
SEVERITIES: Final[dict[Severity, Words]] = {
    "medium": Words("medium", "mittel"),
    "high": Words("high", "hoch"),
    "critical": Words("critical", "kritisch"),
}
STATUSES: Final[dict[Status, Words]] = {
    "open": Words("open", "offen"),
    "resolved": Words("resolved", "erledigt"),
    "closed": Words("closed", "abgeschlossen"),
    "withdrawn": Words("withdrawn", "zurückgenommen"),
}
TITLE: Final = Words(
    "{transition}: customer {customer}, churn risk {risk} ({severity})",
    "{transition}: Kundennummer {customer}, Abwanderungsrisiko {risk} ({severity})",
)
CUSTOMER: Final = Words("Customer", "Kundennummer")
ISSUE: Final = Words("Issue", "Anliegen")
RISK: Final = Words("Churn risk", "Abwanderungsrisiko")
RISK_AND_BEFORE: Final = Words("{after} (without this issue {before})", "{after} (ohne dieses Anliegen {before})")
SEVERITY: Final = Words("Severity", "Schwere")
STATUS: Final = Words("Status", "Status")
SINCE: Final = Words("Since", "Seit")
CONTACTS: Final = Words("Contacts about it", "Kontakte dazu")
WHY: Final = Words("Why", "Warum")
WHAT_TO_DO: Final = Words("What to do", "Was zu tun ist")
ALERT: Final = Words("Alert", "Warnung")
WITHDRAWN: Final = Words(
    "Taken back: with all events known now, this issue was no risk.",
    "Zurückgenommen: Nach allem, was jetzt bekannt ist, bestand wegen dieses Anliegens kein Risiko.",
)
FAVOUR: Final = Words(IN_FAVOUR, "Spricht fürs Bleiben: ")


def _times(count: int) -> str:
    return {1: "einmal", 2: "zweimal"}.get(count, f"{count}-mal")


GERMAN: Final[dict[str, str | Callable[[float], str]]] = {
    "prior_purchases": lambda value: "Ein früherer Wiederkauf." if value == 1 else f"{int(value)} frühere Wiederkäufe.",
    "silence": "Der letzte Kauf liegt länger zurück als üblich.",
    "contract": "Ein Vertrag bindet noch: Das verdeckt das Risiko, Loyalität ist es nicht.",
    "contact": "Es war überhaupt ein Kontakt nötig.",
    "repeat_contact": lambda value: f"Innerhalb von 30 Tagen waren dazu {int(value) + 1} Kontakte nötig.",
    "transfer": lambda value: f"Der Fall wurde {_times(int(value))} weitergereicht.",
    "channel_switch": lambda value: f"Es waren {int(value) + 1} Kanäle nötig.",
    "information_repeated": "Der Fall musste noch einmal geschildert werden.",
    "waiting": lambda value: f"Die Wartezeit betrug {round(value * 10)} Minuten{' oder mehr' if value >= 6 else ''}.",
    "self_service_failed": "Der Versuch, sich selbst zu helfen, ist gescheitert.",
    "detractor": "Die Antwort in der Umfrage: keine Weiterempfehlung.",
    "effort": "Die Lösung war nach eigener Aussage mühsam.",
    "unresolved": "Das Problem ist noch nicht gelöst.",
    "recovered": "Das Problem wurde gelöst.",
    "reopened": "Es galt als gelöst und kam wieder.",
    "cancellation": "Es wurde um Kündigung gebeten.",
    "earlier_complaint": "Vor nicht langer Zeit gab es auch eine Beschwerde über etwas anderes.",
    "bought_again": "Nach dem Kontakt wurde wieder gekauft.",
}
"""The sentence of each term of the risk."""
GERMAN_ADVICE: Final = {
    "Nothing to do.": "Nichts zu tun.",
    CALL_TODAY.advice: (
        "Heute anrufen: fragen, was sich ändern müsste, und das lösen, bevor vom Vertrag die Rede ist."
    ),
    SOLVE.advice: (
        "Übernehmen und in einem Zug lösen; sagen, bis wann. Die Vorgeschichte liegt vor, nichts noch einmal fragen."
    ),
    CALL_BACK.advice: ("Zurückrufen: sagen, was sich geändert hat, und fragen, ob es jetzt geht. Kein Rabatt."),
    CHECK.advice: "Prüfen, ob die Lösung hält; eine Zeile dazu schreiben.",
    LEFT_ALONE: "Nichts: Diese Warnung bleibt unbearbeitet, um zu messen, was das Bearbeiten der anderen bewirkt.",
}
"""What the message recommends, in words the worker chose; one it does not know stays as it is."""
