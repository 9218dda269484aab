"""Differences in GraphQL: which fields of a thing differ between two of its versions."""

from typing import Any
from uuid import UUID

import orjson
import strawberry
from graphql import GraphQLError

from api.context import Context, Info
from api.history import FieldChange
from api.messages import message
from api.planner import ids
from api.refusals import require
from application.access import Permission, to_read, visible
from projections.shared.ids import PREFIXES

CHANGES = """
    select coalesce(json_agg(changes order by version), '[]')::text from read.timeline
    where stream_id = $1 and version > $2 and version <= $3 and (org_unit is null or org_unit = any($4))"""
VERSIONS_MAX = 1_000
BUDGET = frozenset(
    {
        "budgetMinor", "costTotalMinor", "costLines", "currency", "unitCost", "faults",
        *(f"{amount}Minor" for amount in ("total", "free", "reserved", "consumed", "amount", "refunded")),
        "thresholdPercent",
    }
)  # fmt: skip
"""Fields that are left out for who may not see budgets."""

POSTINGS = """
    select coalesce((
        select json_build_object(
            'status', case when a.version > $2 and a.version <= $3 then a.status else 'open' end,
            'postings', (
                select coalesce(json_agg(json_build_object('id', e.id, 'points', e.points::text,
                    'balance', e.balance::text, 'before', (e.balance - e.points)::text,
                    'businessType', e.business_type, 'name', e.name) order by e.version), '[]')
                from read.points_entries e
                where e.ledger_id = a.id and e.version > $2 and e.version <= $3))
        from read.points_accounts a where a.id = $1 and a.org_unit = any($4)), 'null')::text"""


@strawberry.type
class DifferenceQueries:
    @strawberry.field(
        description="What changed from one version to a later one, field by field; null when the thing is"
        " unknown or not visible. Version 0 is before it existed."
    )
    async def diff(self, info: Info, id: strawberry.ID, since: int, until: int) -> list[FieldChange] | None:
        context, kind = info.context, _kind(id)
        require(to_read(kind), context)
        if not 0 <= since <= until or until - since > VERSIONS_MAX:
            text = message("out_of_range", {"least": "0", "most": str(VERSIONS_MAX)}, context.language)
            raise GraphQLError(text, extensions={"code": "OUT_OF_RANGE"})
        if kind == "points_ledger":
            return await _postings(context, id, since, until)
        units = sorted(visible(kind, context.principal))
        if await context.reads.one(ANY, [key := _key(id), units]) == b"0":
            return None
        found = await context.reads.one(CHANGES, [key, since, until, units])
        sees_budget = Permission.BUDGET_READ in context.principal.permissions
        changes = [each for each in merged(orjson.loads(found)) if sees_budget or each["field"] not in BUDGET]
        return [FieldChange(**change) for change in changes]


def _kind(id_: str) -> str:
    """The kind of stream that the id's prefix stands for; nothing for another."""
    return next((kind for kind, prefix in PREFIXES.items() if id_.startswith(f"{prefix}_")), "")


async def _postings(context: Context, id_: str, since: int, until: int) -> list[FieldChange] | None:
    """What was posted to a customer's account: its entries are its history."""
    units = sorted(visible("points_account", context.principal))
    found = orjson.loads(await context.reads.one(POSTINGS, [_key(id_), since, until, units]))
    if found is None:
        return None
    changes, postings = list[FieldChange](), found["postings"]
    if postings:
        before, after = postings[0]["before"], postings[-1]["balance"]
        shown = [
            {**{name: each[name] for name in ("points", "businessType", "name")}, "id": _entry_id(each["id"])}
            for each in postings
        ]
        changes += [_changed("balance", before, after), _changed("entries", [], shown)]
    if found["status"] != "open":
        changes.append(_changed("status", "OPEN", found["status"].upper()))
    return changes


def _changed(field: str, before: Any, after: Any) -> FieldChange:
    return FieldChange(field=field, before=before, after=after)


def _entry_id(key: str) -> str:
    return ids.encode("pe", UUID(key))


ANY = """
    select count(*)::text from (select from read.timeline
    where stream_id = $1 and (org_unit is null or org_unit = any($2)) limit 1) seen"""


def _key(id_: str) -> Any:
    try:
        prefix, key = ids.decode(id_)
    except ValueError:
        return None
    return key if prefix in PREFIXES.values() else None


def merged(changes: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Consecutive changes as one: each field's first before and last after, when they differ."""
    found: dict[str, dict[str, Any]] = {}
    for change in (each for step in changes for each in step):
        first = found.setdefault(change["field"], change)
        found[change["field"]] = {**change, "before": first["before"]}
    return [change for change in found.values() if change["before"] != change["after"]]
