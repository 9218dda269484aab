"""One loaded bank for the planner's tests, asked as an HTTP view would ask."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest
from psycopg_pool import AsyncConnectionPool

from api.planner.reads import Reads, configure
from api.planner.requests import Viewer
from tests.api.planner.naive import Naive
from tests.api.planner.sample import load, make_rows, make_schema

STAFF = Viewer("lin", frozenset({"north"}), frozenset({"research"}))
CHIEF = Viewer(
    "rao",
    frozenset({"north", 'o"dd\\,{}'}),
    frozenset({"research", "technology"}),
    frozenset({"budget.read", "phone.read"}),
    page_limit=500,
)
SOUTHERNER = replace(CHIEF, user="lin", units=frozenset({"south"}))
"""Sees other rows by the same plans as the chief."""


@dataclass(frozen=True)
class Answer:
    """`planned`: in one statement, ahead of strawberry."""

    data: Any
    errors: list[dict[str, Any]]
    planned: bool

    @property
    def codes(self) -> list[str]:
        return sorted((error.get("extensions") or {}).get("code", "NONE") for error in self.errors)


class Bank:
    def __init__(self, database_url: str) -> None:
        self.rows = make_rows()
        self.schema = make_schema()
        self.naive = Naive(self.schema.as_str(), self.rows)
        self.runner = asyncio.Runner()
        self.pool = AsyncConnectionPool(database_url, min_size=1, max_size=2, configure=configure, open=False)
        self.reads = Reads(self.schema, self.pool, timeline="read.timeline")
        self.runner.run(self.pool.open())

    def ask(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        viewer: Viewer = CHIEF,
        operation: str | None = None,
        ahead: bool = True,
    ) -> Answer:
        """As an HTTP view asks: the planner, or else strawberry; `ahead=False` asks strawberry at once."""
        return self.runner.run(self._ask(document, dict(variables or {}), viewer, operation, ahead))

    async def _ask(
        self, document: str, variables: dict[str, Any], viewer: Viewer, operation: str | None, ahead: bool
    ) -> Answer:
        body = {"query": document, "variables": variables, "operationName": operation}
        if ahead and (found := await self.reads.answer(body, viewer)) is not None:
            return Answer(orjson.loads(found)["data"], [], True)
        context = {"reads": self.reads, "viewer": viewer}
        result = await self.schema.execute(document, variables, context, operation_name=operation)
        errors = [dict(error.formatted) for error in result.errors or []]
        return Answer(orjson.loads(orjson.dumps(result.data)), errors, False)

    def close(self) -> None:
        self.runner.run(self.pool.close())
        self.runner.close()


@pytest.fixture
def bank(database_url: str) -> Iterator[Bank]:
    made = Bank(database_url)
    load(database_url, made.rows)
    yield made
    made.close()
