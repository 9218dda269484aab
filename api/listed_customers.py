"""Lists of customers as connections, and their record: who reads ids in clear is written down first.

Such a list never changes, so a place in it is a number; a customer's id would tell the masked viewer.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any

from api.context import Context
from api.planner.requests import refused
from api.planner.values import Cursor
from api.planner.views import Edge, PageInfo
from application import downloads
from application.shared.handler import Request


def require_page_size(context: Context, first: int) -> None:
    """Raise GraphQLError for a page that is larger than the viewer's largest."""
    if not 0 <= first <= context.viewer.page_limit:
        raise refused("BAD_PAGE_SIZE", f"give first, from 0 to {context.viewer.page_limit}")


def parts(
    list_: str, rows: Sequence[tuple[int, Any]], total: int, after: int, *, more: bool
) -> dict[str, Any]:
    """The fields of a connection: `rows` are nodes with their places from 1 in the list of that name, `total`
    how many there are, `after` the place behind which the page begins.
    """
    edges = [Edge(cursor=cursor(list_, place), node=node) for place, node in rows]
    info = PageInfo(
        has_next_page=more,
        has_previous_page=after > 0,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
    return {"edges": edges, "nodes": [node for _, node in rows], "page_info": info, "total_count": total}


def cursor(list_: str, place: int) -> Cursor:
    return Cursor(base64.urlsafe_b64encode(f"{list_}:{place}".encode()).decode())


def place_of(text: str) -> tuple[str, int]:
    """The list's name and the place in it. Raise GraphQLError for what is no cursor."""
    try:
        list_, place = base64.urlsafe_b64decode(text).decode().rsplit(":", 1)
        if not 0 < int(place) < 2**31:
            raise ValueError
        return list_, int(place)
    except ValueError:
        raise refused("BAD_CURSOR", "the cursor does not belong to this list") from None


def record(context: Context, operation: str, subject: str, asked: dict[str, Any], rows: int) -> None:
    """Write down who reads so many ids in clear, and of which list: without it they are not shown."""
    address = context.address
    request = Request(context.principal, operation, {**asked, "rows": rows, "address": address})
    chosen = json.dumps(asked, separators=(",", ":"))
    context.handler(request, lambda work: downloads.record(work, subject, chosen, rows, address))
