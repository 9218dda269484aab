"""The ids of things as people and clients see them: a prefix for each stream type, and the key."""

from collections.abc import Mapping
from uuid import UUID

PREFIXES: Mapping[str, str] = {
    "activity": "act",
    "approval": "apr",
    "activity_type": "at",
    "cost_type": "ct",
    "activity_form": "af",
    "segment_definition": "sd",
    "segment_run": "sr",
    "source_grant": "sg",
    "customer_group": "cg",
    "department": "dp",
    "reward_type": "rt",
    "download": "dl",
    "work_order": "wo",
    "cancellation": "cr",
    "points_job": "pj",
    "budget": "bd",
    "stock": "sk",
    "activity_figures": "fg",
    "points_ledger": "pa",
    "user": "us",
    "service_account": "sa",
    "delegation": "de",
    "revocation": "rv",
    "erasure": "er",
    "business_calendar": "bc",
    "run_schedule": "rs",
    "group_extraction": "ge",
    "webhook_endpoint": "we",
}
"""The prefix of each stream type that outsiders may know of; never changed."""


def shown_id(stream_type: str, key: UUID) -> str:
    return f"{PREFIXES[stream_type]}_{key.hex}"
