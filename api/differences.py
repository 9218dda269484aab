"""Differences in GraphQL: which fields of a thing differ between two instants."""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import strawberry
from graphql import GraphQLError

from api.commands import key_of
from api.context import Context, Info
from api.history import FieldChange
from api.messages import message
from api.planner import ids
from api.planner.inputs import AsOf
from api.refusals import require
from api.replays import kind_and_key, replay_in_sight, shows
from application.access import to_read, visible
from application.shared.records import Position
from projections.replays import Instant

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
        description="What changed from one instant to a later one, field by field: between two versions, or"
        " two positions or times by sinceAt and untilAt. Null when the thing is unknown or not visible."
        " Version 0 is before it existed; without an end it is as it stands now."
    )
    async def diff(
        self,
        info: Info,
        id: strawberry.ID,
        since: int | None = None,
        until: int | None = None,
        since_at: AsOf | None = None,
        until_at: AsOf | None = None,
    ) -> list[FieldChange] | None:
        context = info.context
        kind, key = kind_and_key(id)
        require(to_read(kind), context)
        ends = (_instant(context, since, since_at, 0), _instant(context, until, until_at, None))
        replayed = None if key is None else await replay_in_sight(context, kind, key)
        if replayed is None:
            return None
        if kind == "points_ledger":
            versions = [replayed.version_at(end) for end in ends]
            return await _postings(context, id, *versions)
        shown = shows(info, kind)
        changes = replayed.changes(*(replayed.row_at(end) for end in ends))
        return [FieldChange(**change) for change in changes if shown(change["field"])]


def _instant(context: Context, version: int | None, at: AsOf | None, otherwise: int | None) -> Instant:
    """What one end of a difference means. Raise GraphQLError for two meanings or a negative version."""
    if at is not None:
        if version is not None:
            text = message("two_instants", {}, context.language)
            raise GraphQLError(text, extensions={"code": "BAD_AS_OF"})
        match at:
            case AsOf(position=(epoch, offset)):
                return Instant(position=Position(epoch, offset))
            case AsOf(time=datetime() as time):
                return Instant(time=time)
        version = at.version or 0
    version = otherwise if version is None else version
    if version is not None and version < 0:
        text = message("out_of_range", {"least": "0", "most": str(2**31 - 1)}, context.language)
        raise GraphQLError(text, extensions={"code": "OUT_OF_RANGE"})
    return Instant(version=version)


async def _postings(context: Context, id_: str, since: int, until: int) -> list[FieldChange] | None:
    """What was posted to a customer's account: its entries are its history."""
    units = sorted(visible("points_account", context.principal))
    found = orjson.loads(await context.reads.one(POSTINGS, [key_of("pa", id_), since, until, units]))
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
