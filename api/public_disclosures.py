"""What an event tells only to some: amounts of budgets, customers; and what leaves the house for nobody.

What is withheld is null where it would be told; a field is never left out.
"""

from collections.abc import Collection, Mapping
from typing import Any

from api.public_mappings import Data
from domain.webhook_contents import Disclosure

OF_BUDGETS = frozenset({"budget", "points_job"})
TELLING = frozenset({"percent", "values"})
"""What tells of amounts besides themselves: how much of a budget is used, and what a job lacked."""

OF_CUSTOMERS: Mapping[str, frozenset[str]] = {
    "points_ledger": frozenset({"customer", "card", "postingKey", "lot"}),
}
"""Fields that say who a customer is, by the kind of subject; keys of postings may be made of his number."""

INTERNAL: Mapping[str, frozenset[str]] = {
    "segment_definition": frozenset({"sql"}),
    "segment_run": frozenset({"parameters", "values"}),
    "group_extraction": frozenset({"values"}),
}
"""What is sent to nobody: queries over the warehouse, their values, and the engine's words, which may quote a
row.
"""

NEVER_SENT = frozenset(
    {"user", "service_account", "delegation", "revocation", "download", "webhook_endpoint", "erasure"}
)
"""Kinds of subject of which nothing is sent: who comes in, what was taken out, where events go, and who is
forgotten.
"""


def without_budget(kind: str, data: Data) -> Data:
    if "plan" in data:
        data = {**data, "plan": {**data["plan"], "budget": None, "costLines": None}}
    if kind in OF_BUDGETS:
        data = {n: None if n in TELLING or _is_money(value) else value for n, value in data.items()}
    return data


def without(fields: Collection[str], data: Data) -> Data:
    return {name: None if name in fields else value for name, value in data.items()}


def sent(kind: str, data: Data, discloses: Collection[Disclosure]) -> Data:
    """The data of an event as they leave the house."""
    data = without(INTERNAL.get(kind, ()), data)
    if Disclosure.CUSTOMERS not in discloses:
        data = without(OF_CUSTOMERS.get(kind, ()), data)
    return data if Disclosure.BUDGET in discloses else without_budget(kind, data)


def _is_money(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"amount", "currency"}
