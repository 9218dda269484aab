"""The instant that an `asOf` means: SQL of a row (epoch, position), for tables that keep versions."""

from collections.abc import Callable

from graphql import GraphQLField
from graphql.execution.collect_fields import FieldDetails

from api.planner import ids
from api.planner.pages import arguments_of
from api.planner.requests import Request, refused
from api.planner.views import View

Instant = Callable[[Request], str | None]
"""None: now."""

_AT_TIME = """select epoch, position from {0} where recorded_at <= {1}
    order by recorded_at desc, epoch desc, position desc limit 1"""
# A version between two rows is the older row's; one that does not exist yet is none.
_AT_VERSION = """select epoch_from, position_from from {0} where id = {1} and version <= {2}
    and {2} <= (select max(version) from {0} where id = {1})
    order by version desc, epoch_from desc, position_from desc limit 1"""


def now(_: Request) -> None:
    return None


def past(field: GraphQLField, details: FieldDetails, view: View, timeline: str | None) -> Instant:
    """The instant of a root field over a view. Refuses BAD_AS_OF for a version of a list.

    `timeline` is the table (epoch, position, recorded_at) by which a time becomes a position.
    """

    arguments = arguments_of(field, details)

    def instant(request: Request) -> str | None:
        given = arguments(request)
        match given.get("asOf"):
            case None:
                return None
            case {"position": (epoch, offset)}:
                return f"({request.bind(epoch, 'int')}, {request.bind(offset, 'bigint')})"
            case {"time": time} if timeline:
                return request.subquery(_AT_TIME.format(timeline, request.bind(time, "timestamptz")))
            case {"version": version} if "id" in field.args:
                key, bound = request.bind(ids.parsed(given["id"])[1], "uuid"), request.bind(version, "int")
                return request.subquery(_AT_VERSION.format(view.versions, key, bound))
        raise refused("BAD_AS_OF", "a version is of one object only, and here times may be unknown")

    asked = any(argument.name.value == "asOf" for argument in details.node.arguments or ())
    if view.versions is None or not asked:
        return now
    return lambda request: request.once(("asOf", id(details.node)), lambda: instant(request))
