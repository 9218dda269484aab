"""A connection's arguments become keyset SQL: `first/after/last/before`, `filter`, `orderBy`, choices. All is
bound.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from graphql import GraphQLField, ListValueNode, ObjectValueNode, ValueNode, VariableNode
from graphql.execution.collect_fields import FieldDetails
from graphql.execution.values import get_argument_values
from strawberry.utils.str_converters import to_camel_case

from api.planner.inputs import comparable, sort_kinds
from api.planner.requests import DEFAULT_PAGE_SIZE, Request, refused
from api.planner.values import Kind
from api.planner.views import Choice, Column, ReadField, View

if TYPE_CHECKING:
    from api.planner.instants import Tables

OPERATORS = {"eq": "=", "gte": ">=", "lte": "<=", "gt": ">", "lt": "<"}
MAX_ROWS = 10_000  # of nested pages: the product of the sizes of a page and of those around it
MAX_SORT_KEYS = 5
MAX_FILTER_DEPTH = 5
MAX_COMPARISONS = 100
MAX_MEMBERS = 100


Arguments = Callable[[Request], Mapping[str, Any]]


def arguments_of(field: GraphQLField, details: FieldDetails) -> Arguments:
    """What gives a field's coerced arguments by their GraphQL names: those without variables once a plan,
    others once a statement.
    """
    key, literal = (id(field), id(details.node)), dict[str, Mapping[str, Any]]()

    def coerced(request: Request) -> Mapping[str, Any]:
        return get_argument_values(field, details.node, request.variables, details.fragment_variable_values)

    def once_a_plan(request: Request) -> Mapping[str, Any]:
        if "" not in literal:
            literal[""] = coerced(request)
        return literal[""]

    if all(_is_literal(argument.value) for argument in details.node.arguments or ()):
        return once_a_plan
    return lambda request: request.once(key, lambda: coerced(request))


def _is_literal(value: ValueNode) -> bool:
    match value:
        case VariableNode():
            return False
        case ListValueNode():
            return all(_is_literal(member) for member in value.values)
        case ObjectValueNode():
            return all(_is_literal(member.value) for member in value.fields)
    return True


def permitted(field: ReadField, permissions: frozenset[str]) -> bool:
    return field.permission is None or field.permission in permissions


@dataclass(frozen=True, slots=True)
class SortKey:
    name: str
    column: str
    kind: Kind
    descending: bool = False

    def way(self, flipped: bool) -> str:
        return "desc" if self.descending != flipped else "asc"


@dataclass(frozen=True, slots=True)
class Order:
    """How a list is sorted, and the SQL of a row's cursor, which the signature ties to both."""

    keys: tuple[SortKey, ...]
    signature: str
    cursor: str

    def sql(self, flipped: bool) -> str:
        return ", ".join(f"{key.column} {key.way(flipped)}" for key in self.keys)


@lru_cache(maxsize=2_000)
def ordered(row: type, alias: str, list_name: str, words: tuple[str, ...]) -> Order:
    """By columns, each optionally followed by " desc"; the id breaks ties in the way of the last."""
    kinds, columns = sort_kinds(row), comparable(row)
    chosen: dict[str, SortKey] = {}
    for name, way in (f"{word} asc".split()[:2] for word in words):
        column = columns[name][0].column if name in columns else name
        chosen.setdefault(name, SortKey(name, f"{alias}.{column}", kinds[name], way == "desc"))
    descending = bool(chosen) and list(chosen.values())[-1].descending
    chosen.setdefault("id", SortKey("id", f"{alias}.id", kinds["id"], descending))
    keys = tuple(chosen.values())
    order = ",".join(f"{key.name} {key.way(False)}" for key in keys)
    signature = hashlib.blake2s(f"{list_name}:{order}".encode(), digest_size=6).hexdigest()
    texts = ", ".join(f"{key.column}::text" for key in keys)
    encoded = f"encode(convert_to(json_build_array('{signature}', {texts})::text, 'UTF8'), 'base64')"
    # base64 of PostgreSQL breaks its lines
    return Order(keys, signature, f"""'"' || translate({encoded}, E'\\n', '') || '"'""")


@dataclass(slots=True)
class Page:
    """SQL that hangs on a connection's arguments; `rows` is its largest number of rows together with the
    pages around it, `behind` whether it begins at a cursor.
    """

    matching: str
    beyond: str
    size: str
    rows: int
    alias: str
    sorting: Order
    backward: bool
    behind: bool

    @property
    def order(self) -> str:
        return self.sorting.sql(self.backward)

    @property
    def outer_order(self) -> str:
        return f" order by {self.sorting.sql(False)}" if self.backward else ""

    @property
    def cursor(self) -> str:
        return self.sorting.cursor

    def info(self, name: str) -> str:
        """A field of PageInfo."""
        is_start, is_next = name.startswith("start"), name == "hasNextPage"
        if name.endswith("Cursor"):
            number = f"least(1, {self.size})" if is_start else f'least({self.alias}."##", {self.size})'
            return f"""coalesce(max({self.cursor}) filter (where {self.alias}."#" = {number}), 'null')"""
        if is_next != self.backward:
            return f"to_json(count(*) > {self.size})"
        return "'true'" if self.behind else "'false'"


@dataclass(frozen=True, slots=True)
class Pager:
    """One connection of a plan: what is known when compiling; `page` adds what a request brings.

    `list_name` names the connection in cursors; `around` is the number of rows that this page is repeated
    for.
    """

    arguments: Arguments
    row: type
    view: View
    alias: str
    list_name: str
    choices: Mapping[str, Choice]
    around: Callable[[Request], int]
    tables: Callable[[Request], "Tables"]

    def page(self, request: Request) -> Page:
        return request.once(self.alias, lambda: self._page(request))

    def rows(self, request: Request) -> int:
        return self.page(request).rows

    def _page(self, request: Request) -> Page:
        given = self.arguments(request)
        after, before, backward = given.get("after"), given.get("before"), given.get("last") is not None
        wanted = self._size(request, given)
        rows = wanted * self.around(request)
        if rows > MAX_ROWS:
            raise refused("LIMIT_EXCEEDED", f"nested pages of more than {MAX_ROWS} rows")
        if len(words := given.get("orderBy") or ()) > MAX_SORT_KEYS:
            raise refused("LIMIT_EXCEEDED", f"more than {MAX_SORT_KEYS} sort keys")
        words = tuple(member.value for member in words) or self.view.order
        order = ordered(self.row, self.alias, self.list_name, words)
        beyond = "".join(
            _beyond(request, order, at, flipped)
            for at, flipped in ((after, False), (before, True))
            if at is not None
        )
        return Page(
            matching="".join(f" and {condition}" for condition in self._matching(request, given)),
            beyond=beyond,
            size=request.bind(wanted, "int"),
            rows=rows,
            alias=self.alias,
            sorting=order,
            backward=backward,
            behind=(before if backward else after) is not None,
        )

    def _size(self, request: Request, given: Mapping[str, Any]) -> int:
        first, last, limit = given.get("first"), given.get("last"), request.viewer.page_limit
        wanted: int = next((size for size in (last, first) if size is not None), DEFAULT_PAGE_SIZE)
        if (first is not None and last is not None) or not 0 <= wanted <= limit:
            raise refused("BAD_PAGE_SIZE", f"give first or last, from 0 to {limit}")
        return wanted

    def _matching(self, request: Request, given: Mapping[str, Any]) -> Iterable[str]:
        for name, choice in self.choices.items():
            condition = choice.conditions[given[to_camel_case(name)]]
            yield f"({expression(condition, request, self.alias, self.tables(request))})"
        if (filtered := given.get("filter")) is not None:
            if _measured(filtered) > MAX_COMPARISONS:
                raise refused("LIMIT_EXCEEDED", f"more than {MAX_COMPARISONS} comparisons in a filter")
            yield from conditions(request, self.row, self.alias, filtered, self.tables(request))


def expression(sql: str, request: Request, alias: str, tables: "Tables") -> str:
    """A developer's SQL with its slots filled: the row's alias, and the viewer's values as parameters."""
    return sql.format(row=alias, viewer=_ViewerSlots(request), rows=tables, now=_Now(tables))


@dataclass(frozen=True, slots=True)
class _Now:
    """The time, looked up only where a slot asks for it."""

    tables: "Tables"

    def __format__(self, _: str) -> str:
        return self.tables.now


@dataclass(frozen=True, slots=True)
class _ViewerSlots:
    request: Request

    def __getattr__(self, name: str) -> str:
        return self.request.viewers(name)


def _beyond(request: Request, order: Order, cursor: str, flipped: bool) -> str:
    """Rows after the cursor in the given order (before it, if flipped); one row comparison where an index
    serves it. The signature is no secret: a made-up cursor only starts elsewhere.
    """
    keys = order.keys
    try:
        signed, *texts = json.loads(base64.b64decode(cursor, validate=True))
        values = [key.kind.parse(text) for key, text in zip(keys, texts, strict=True)]
        if signed != order.signature:
            raise ValueError("another list or order")
    except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError, RecursionError):
        raise refused("BAD_CURSOR", "the cursor does not belong to this list in this order") from None
    bound = [
        request.bind(key.kind.bound(value), key.kind.sql) for key, value in zip(keys, values, strict=True)
    ]
    signs = ["<" if key.way(flipped) == "desc" else ">" for key in keys]
    if len(set(signs)) == 1:
        return f" and ({', '.join(key.column for key in keys)}) {signs[0]} ({', '.join(bound)})"
    sql = "false"
    for key, sign, value in reversed(list(zip(keys, signs, bound, strict=True))):
        sql = f"({key.column} {sign} {value} or ({key.column} = {value} and {sql}))"
    return f" and {sql}"


def _measured(given: Mapping[str, Any], depth: int = 1) -> int:
    """The number of comparisons and groups of a filter."""
    if depth > MAX_FILTER_DEPTH:
        raise refused("LIMIT_EXCEEDED", f"a filter nested more than {MAX_FILTER_DEPTH} deep")
    number = 1
    for word, value in given.items():
        if value is not None:
            groups = value if isinstance(value, list) else [value] if word == "not" else []
            number += sum(_measured(group, depth + 1) for group in groups) if groups else len(value)
    return number


def conditions(
    request: Request, row: type, alias: str, given: Mapping[str, Any], tables: "Tables"
) -> Iterable[str]:
    """A filter input as SQL conditions. A column that is null matches only isNull; a null argument says
    nothing.
    """
    columns = {to_camel_case(name): found for name, found in comparable(row).items()}
    for name, value in given.items():
        match name:
            case _ if value is None:
                continue
            case "and" | "or" as word:
                groups = [
                    " and ".join(["true", *conditions(request, row, alias, group, tables)]) for group in value
                ]
                yield (
                    "("
                    + f" {word} ".join([*(f"({g})" for g in groups), "true" if word == "and" else "false"])
                    + ")"
                )
            case "not":
                denied = conditions(request, row, alias, value, tables)
                yield f"({' and '.join(['true', *denied])}) is not true"
            case _:
                field, kind = columns[name]
                if not permitted(field, request.viewer.permissions):
                    raise refused("FORBIDDEN", f"no right to filter by {name}", permission=field.permission)
                within = field.read.within if isinstance(field.read, Column) else None
                if within is not None:
                    within = (tables[within[0]], *within[1:])
                yield from _comparisons(request, f"{alias}.{field.column}", kind, value, within)


def _comparisons(
    request: Request,
    column: str,
    kind: Kind,
    given: Mapping[str, Any],
    within: tuple[str, str, str] | None,
) -> Iterable[str]:
    for operator, value in given.items():
        match operator:
            case _ if value is None:
                continue
            case "isNull":
                yield f"{column} is {'' if value else 'not '}null"
            case "in":
                yield f"{column} = any({_members(request, kind, value, f'{kind.sql}[]')})"
            case "has" | "hasSome":
                members = value if operator == "hasSome" else [value]
                yield f"{column}::{kind.sql} && {_members(request, kind, members, kind.sql)}"
            case "within":
                assert within is not None, "only the ids of a tree have this operator"
                table, ancestor, descendant = within
                root = request.bind(kind.bound(value), kind.sql)
                yield f"{column} in (select {descendant} from {table} c where {ancestor} = {root})"
            case "contains":
                pattern = "".join("\\" + c if c in "\\%_" else c for c in value)
                yield f"{column} ilike {request.bind(f'%{pattern}%', 'text')}"
            case _:
                yield f"{column} {OPERATORS[operator]} {request.bind(kind.bound(value), kind.sql)}"


def _members(request: Request, kind: Kind, given: list[Any], sql_type: str) -> str:
    """A bound list, without what is an id of another type: that equals nothing."""
    if len(given) > MAX_MEMBERS:
        raise refused("LIMIT_EXCEEDED", f"more than {MAX_MEMBERS} members in a list")
    bound = [found for member in given if (found := kind.bound(member)) is not None]
    return request.bind(bound or "{}", sql_type)
