"""Entity tags of planned answers: who has an answer and finds its tag unchanged need not be sent it again.

A planned answer is a function of the document, its variables, who asks, in which language, and the rows of
the tables that its statement reads. These rows change with the positions at which their projections last
changed anything, so the positions stand for the rows. They are read before the rows are: an answer may be
newer than its tag says, never older, so whatever changes after the positions were read changes the tag.

Tags are weak: compression changes the bytes, and `extensions.cost` differs from answer to answer.
"""

import base64
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import orjson

from api.planner.reads import Prepared
from api.planner.requests import Viewer

POSITIONS = (
    "select coalesce(string_agg(concat_ws(' ', name, changed_epoch, changed_position, generation), ','"
    " order by name), '') from projection.checkpoints where name = any($1::text[])"
)
TAGS_MAX = 20
TAG_BYTES = 18
_TABLE = re.compile(r"\b(?:from|join)\s+(\w+)\.(\w+)")
_CLOCK = re.compile(r"\bnow\(|\bcurrent_(?:date|time)|\blocaltime|_timestamp\(|\brandom\(", re.IGNORECASE)
_GIVEN = re.compile(r'(?:W/)?"([^"]*)"')


class EntityTags:
    """`projection_of` names the projection that keeps a table of the schema `read`; `release` differs where
    the same rows may be shown otherwise; `one` gives the one text of a statement.
    """

    def __init__(
        self,
        one: Callable[[str, Sequence[object]], Awaitable[bytes]],
        projection_of: Mapping[str, str],
        release: str,
    ) -> None:
        self._one, self._projection_of, self._release = one, projection_of, release

    async def tag(
        self, body: Mapping[str, Any], viewer: Viewer, language: str, media_type: str, prepared: Prepared
    ) -> str | None:
        """The tag of what the statement is about to give; None where it hangs on more than rows that
        projections keep, such as the clock.
        """
        projections = self.projections(prepared.sql)
        if projections is None:
            return None
        positions = await self._one(POSITIONS, [sorted(projections)])
        parts = [
            self._release,
            body.get("query"),
            body.get("operationName"),
            body.get("variables"),
            viewer.user,
            sorted(viewer.units),
            None if viewer.data_units is None else sorted(viewer.data_units),
            sorted(viewer.levels),
            sorted(viewer.permissions),
            viewer.page_limit,
            language,
            media_type,
            positions.decode(),
        ]
        told = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
        text = base64.urlsafe_b64encode(blake2b(told, digest_size=TAG_BYTES).digest()).decode()
        return f'W/"{text}"'

    def projections(self, sql: str) -> frozenset[str] | None:
        """The projections whose tables the statement reads; None where it reads anything else."""
        if _CLOCK.search(sql):
            return None
        names = set()
        for schema, table in _TABLE.findall(sql):
            name = self._projection_of.get(table) if schema == "read" else None
            if name is None:
                return None
            names.add(name)
        return frozenset(names)


def matches(tag: str, if_none_match: str) -> bool:
    """Whether the client has what the tag stands for. `*` is no answer to that, and matches nothing."""
    given = _GIVEN.findall(if_none_match)[:TAGS_MAX]
    return tag.removeprefix("W/").strip('"') in given
