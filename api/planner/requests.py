"""What one request brings to a plan: who asks, the variables, and the parameters bound so far."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from graphql import GraphQLError
from graphql.execution.values import VariableValues

T = TypeVar("T")
DEFAULT_PAGE_SIZE = 20
ORDINARY_PAGE_SIZE = 100


def refused(code: str, message: str, **extensions: object) -> GraphQLError:
    """A refusal of the planner. The executor adds the path of the root field that it answers."""
    return GraphQLError(message, extensions={"code": code, **extensions})


class TextArray(bytes):
    """A text[] as PostgreSQL reads it: encoded once for a viewer, not once for a request."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks. `units` are the organisation units whose rows are visible, `data_units` those of
    views that say so (None: the same), `page_limit` the largest page.
    """

    user: str
    units: frozenset[str]
    levels: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    page_limit: int = ORDINARY_PAGE_SIZE
    data_units: frozenset[str] | None = None


@lru_cache(maxsize=1_024)
def text_array(texts: frozenset[str]) -> TextArray:
    quoted = ('"' + t.replace("\\", "\\\\").replace('"', '\\"') + '"' for t in sorted(texts))
    return TextArray(("{" + ",".join(quoted) + "}").encode())


@dataclass(slots=True)
class Request:
    """One filling of a plan's slots. Slots share what they find in `memo`, under keys that the plan gave
    them.
    """

    variables: VariableValues
    viewer: Viewer
    parameters: list[object] = field(default_factory=list)
    subqueries: list[str] = field(default_factory=list)
    _memo: dict[object, object] = field(default_factory=dict)

    def once(self, key: object, find: Callable[[], T]) -> T:
        if key not in self._memo:
            self._memo[key] = find()
        return self._memo[key]  # type: ignore[return-value]

    def bind(self, value: object, sql_type: str) -> str:
        """The SQL of a bound value. Refuses BAD_INPUT for text that PostgreSQL can't hold."""
        if value is None:  # which has no type of its own, if no part of the statement should use it
            return f"null::{sql_type}"
        for text in value if isinstance(value, list) else (value,):
            if isinstance(text, str):
                require_storable(text)
        self.parameters.append(value)
        return f"${len(self.parameters)}::{sql_type}"

    def viewers(self, attribute: str) -> str:
        """The SQL of the viewer's `user` (text), `units` or `levels` (text[]), bound once a statement."""
        value = getattr(self.viewer, attribute)
        if value is None:
            return self.viewers("units")
        if attribute == "user":
            return self.once("user", lambda: self.bind(value, "text"))
        return self.once(attribute, lambda: self.bind(text_array(value), "text[]"))

    def subquery(self, sql: str) -> str:
        """A query that is run once before the statement, whatever number of rows refers to it."""
        self.subqueries.append(f"q{len(self.subqueries)} as materialized ({sql})")
        return f"(select * from q{len(self.subqueries) - 1})"


Slot = Callable[[Request], str]
Parts = Sequence[str | Slot]


def filled(parts: Parts, request: Request) -> str:
    return "".join([part if isinstance(part, str) else part(request) for part in parts])


def statement(parts: Parts, request: Request) -> str:
    sql = filled(parts, request)
    return f"with {', '.join(request.subqueries)} {sql}" if request.subqueries else sql


def require_storable(text: str) -> None:
    """Refuse BAD_INPUT for text that PostgreSQL can't hold."""
    if "\0" in text or (not text.isascii() and any("\ud800" <= each <= "\udfff" for each in text)):
        raise refused("BAD_INPUT", "text must not contain NUL or lone surrogates")
