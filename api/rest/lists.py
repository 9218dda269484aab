"""Lists of REST: parameters that all of them take, pages by links, and reading what one has written."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import Field
from starlette.responses import Response

from api.graphql_app import NOT_KEPT
from api.planner import positions
from api.rest.operations import Asked, answer
from api.rest.problems import Problem, Told
from api.rest.values import Form, Given, Instant, Misfit, text, whole

PAGE, PAGE_MAX = 50, 500
CODE_CHARACTERS_MAX = 32
POSITION = {"type": "string", "pattern": "^[0-9a-f]{24}$"}


def _position(value: object) -> str:
    try:
        positions.decode(value if isinstance(value, str) else "")
    except ValueError:
        raise Misfit("BAD_VALUE", type="position") from None
    return str(value)


class Reading(Given):
    """What everything that is read takes."""

    min_position: Annotated[str, Form(_position, POSITION)] | None = Field(
        None,
        description="Show at least what was recorded up to there: the Cardinal-Position of an answer.",
    )


class Listing(Reading):
    code: Annotated[str, text(CODE_CHARACTERS_MAX)] | None = None
    changed_since: Instant | None = None
    limit: Annotated[int, whole(1, PAGE_MAX)] = Field(PAGE, description="At most 100; 500 for integrators.")
    after: str | None = Field(None, description="The cursor of the link `next`.")


async def page(asked: Asked, document: str, path: str, statuses: list[Any]) -> Response:
    """Of the connection that the document reads by $filter, $first and $after."""
    query: Listing = asked.query
    most = asked.context.viewer.page_limit
    if query.limit > most:
        range_ = {"least": "1", "most": str(most)}
        raise Problem(400, "INVALID_INPUT", [Told("OUT_OF_RANGE", "parameter", "limit", range_)])
    variables = {"filter": _filter(query, statuses), "first": query.limit, "after": query.after}
    found = await asked.read(document, variables)
    headers, info = dict(NOT_KEPT), found["pageInfo"]
    if info["hasNextPage"]:
        kept = [pair for pair in asked.request.query_params.multi_items() if pair[0] != "after"]
        there = urlencode([*kept, ("after", info["endCursor"])])
        headers["Link"] = f'<{path}?{there}>; rel="next"'
    return answer({"items": found["nodes"]}, headers=headers)


def _filter(query: Listing, statuses: list[Any]) -> Mapping[str, Any]:
    chosen: dict[str, Any] = {}
    if statuses:
        chosen["status"] = {"in": [status.name for status in statuses]}
    if query.code is not None:
        chosen["code"] = {"eq": query.code}
    if query.changed_since is not None:
        chosen["changedAt"] = {"gte": query.changed_since.isoformat()}
    return chosen
