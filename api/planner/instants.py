"""The instant that an `asOf` means, and the rows as they were then, for tables that keep what was."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema
from graphql.execution.collect_fields import FieldDetails

from api.planner import ids
from api.planner.declared import origin, view_of
from api.planner.pages import arguments_of
from api.planner.requests import Request, refused
from api.planner.views import View


@dataclass(frozen=True, slots=True)
class Timeline:
    """The table (epoch, position, recorded_at) by which a time becomes a position; `beside` is SQL with the
    slot `{time}` that gives the last (epoch, position) of what the table does not tell of.
    """

    table: str
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Then:
    """An instant: the SQL of a row (epoch, position), and that of its time."""

    row: str
    time: Callable[[], str]


Instant = Callable[[Request], Then | None]
"""None: now."""

_AT_TIME = """select epoch, position from {0} where recorded_at <= {1}
    order by recorded_at desc, epoch desc, position desc limit 1"""
_LATER = "select epoch, position from (({0}) union all ({1})) l order by epoch desc, position desc limit 1"
# A version between two rows is the older row's; one that does not exist yet is none.
_AT_VERSION = """select epoch_from, position_from from {0} where id = {1} and version <= {2}
    and {2} <= (select max(version) from {0} where id = {1})
    order by version desc, epoch_from desc, position_from desc limit 1"""
_TIME = """select recorded_at from {0} where (epoch, position) <= {1}
    order by epoch desc, position desc limit 1"""
_STANDING = (
    "(select * from {0} where (epoch_from, position_from) <= {{then}} and (epoch_to, position_to) > {{then}})"
)
_RECORDED = "(select * from {0} where ({1}) <= {{then}})"


def now(_: Request) -> None:
    return None


def past(field: GraphQLField, details: FieldDetails, view: View, timeline: Timeline | None) -> Instant:
    """The instant of a root field over a view. Refuses BAD_AS_OF for a version of a list."""

    arguments = arguments_of(field, details)

    def instant(request: Request) -> Then | None:
        given = arguments(request)
        match given.get("asOf"):
            case None:
                return None
            case {"position": (epoch, offset)}:
                row = f"({request.bind(epoch, 'int')}, {request.bind(offset, 'bigint')})"
                return Then(row, lambda: _time_of(request, timeline, row))
            case {"time": time} if timeline:
                bound = request.bind(time, "timestamptz")
                found = _AT_TIME.format(timeline.table, bound)
                if timeline.beside:
                    found = _LATER.format(found, timeline.beside.format(time=bound))
                return Then(request.subquery(found), lambda: bound)
            case {"version": version} if view.versions and "id" in field.args:
                key, bound = request.bind(ids.parsed(given["id"])[1], "uuid"), request.bind(version, "int")
                row = request.subquery(_AT_VERSION.format(view.versions, key, bound))
                return Then(row, lambda: _time_of(request, timeline, row))
        raise refused(
            "BAD_AS_OF", "a version is of one object only that has several, and times may be unknown here"
        )

    asked = any(argument.name.value == "asOf" for argument in details.node.arguments or ())
    if not view.has_past or not asked:
        return now
    return lambda request: request.once(("asOf", id(details.node)), lambda: instant(request))


def _time_of(request: Request, timeline: Timeline | None, row: str) -> str:
    if timeline is None:
        raise refused("BAD_AS_OF", "here times may be unknown")
    return request.once(("time", row), lambda: request.subquery(_TIME.format(timeline.table, row)))


@lru_cache(maxsize=100)
def pasts(schema: GraphQLSchema) -> Mapping[str, str]:
    """By table, the SQL of its rows at an instant, with the slot `{then}`."""
    found: dict[str, str] = {}
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType) and type_.extensions and hasattr(origin(type_), "__view__"):
            view = view_of(type_)
            if view.has_past:
                found[view.table] = _past_of(view)
            found.update(view.beside)
    return found


def _past_of(view: View) -> str:
    if view.past:
        return view.past
    if view.versions:
        return _STANDING.format(view.versions)
    return _RECORDED.format(view.table, ", ".join(view.position or ()))


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables as a statement reads them, by their names: those of now, or those of an instant."""

    pasts: Mapping[str, str]
    then: Then | None

    def __getitem__(self, table: str) -> str:
        if self.then is None or table not in self.pasts:
            return table
        return self.pasts[table].replace("{then}", self.then.row)

    @property
    def now(self) -> str:
        return self.then.time() if self.then else "now()"
