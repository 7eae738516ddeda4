"""Why a customer may be erased."""

from enum import StrEnum


class ErasureReason(StrEnum):
    """Why a customer was erased. A closed list: free text would be one more place for personal data."""

    CUSTOMER_REQUEST = "customer-request"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    RETENTION_OVER = "retention-over"
    LEGAL_ORDER = "legal-order"
    TEST_DATA = "test-data"
