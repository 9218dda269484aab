"""The scalars of the API: how each is stored in a column, shown as JSON, compared and read back."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, NewType
from uuid import UUID

import strawberry
from strawberry.scalars import ID, JSON
from strawberry.types.base import StrawberryList, StrawberryOptional
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.lazy_type import LazyType
from strawberry.types.scalar import ScalarDefinition

from api.planner import ids, positions
from api.planner.positions import Position

Int64 = NewType("Int64", int)
Points = NewType("Points", int)
Cursor = NewType("Cursor", str)

# What is not finite is an amount that a command can refuse in its own words, not a malformed request.
_DECIMAL = re.compile(r"-?([0-9]{1,30}(\.[0-9]{1,18})?|Infinity)|NaN")
_NUMERIC = re.compile(r"-?[0-9]{1,200}(\.[0-9]{1,200})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
RANGE, OF_LISTS = ("gte", "lte", "gt", "lt"), ("has", "hasSome")
_TEXT_TYPES, _INTEGER_TYPES = frozenset({"text", "varchar", "bpchar"}), frozenset({"int2", "int4", "int8"})


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of column.

    `sql` casts parameters; `stored` are the PostgreSQL types a column may have; `json` is the SQL of a
    value's JSON text, `{}` being the value; `walked` is the same where the stock executor will read it;
    `parse` reads the text of a cursor or of a JSON string (raises ValueError, TypeError or KeyError); `bound`
    makes a parameter of an argument, or of a member where the column is a list.
    """

    sql: str
    stored: frozenset[str]
    json: str
    parse: Callable[[Any], object] = str
    operators: tuple[str, ...] = ()
    bound: Callable[[Any], object] = lambda value: value
    walked: str | None = None

    @property
    def is_sortable(self) -> bool:
        return "eq" in self.operators and self.sql != "uuid"


def _integer(bits: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str) or len(str(value)) > 20:
            raise ValueError("not an integer")
        if not -(2 ** (bits - 1)) <= (number := int(value)) < 2 ** (bits - 1):
            raise ValueError(f"not an integer of {bits} bits")
        return number

    return parse


def _matching(pattern: re.Pattern[str], read: Callable[[str], Any]) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError("not of the form of this scalar")
        return read(value)

    return parse


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text]


def _instant(text: str) -> datetime:
    """Where a client forgets the offset, the pattern has refused it with the same hint."""
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None


def _decimal(value: Any) -> Decimal:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return Decimal(_matching(_DECIMAL, str)(str(value) if whole else value))


def _date_time_text(value: datetime | str) -> str:
    if isinstance(value, str):  # a walked answer holds texts already
        return value
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


# Where to_char has no answer (infinity), the value's own text keeps the JSON whole.
_DATE_TIME_JSON = (
    """'"' || coalesce(to_char({} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), {}::text) || '"'"""
)
_QUOTED, _JSON_TEXT = """'"' || {} || '"'""", "to_json({})::text"

STRUCT = Kind("jsonb", frozenset({"jsonb"}), "{}::text")
KEY = Kind("uuid", frozenset({"uuid"}), "", UUID)
_INT64 = Kind("bigint", _INTEGER_TYPES, _QUOTED, _integer(64), ("eq", "in", *RANGE))
_KINDS: dict[object, Kind] = {
    str: Kind("text", _TEXT_TYPES, _JSON_TEXT, operators=("eq", "in", *RANGE, "contains")),
    int: Kind("bigint", _INTEGER_TYPES, "{}::text", _integer(64), ("eq", "in", *RANGE)),
    Int64: _INT64,
    Points: _INT64,
    bool: Kind("boolean", frozenset({"bool"}), _JSON_TEXT, _boolean, ("eq",)),
    Decimal: Kind(
        "numeric", frozenset({"numeric"}), _QUOTED, _matching(_NUMERIC, Decimal), ("eq", "in", *RANGE)
    ),
    datetime: Kind(
        "timestamptz",
        frozenset({"timestamptz"}),
        _DATE_TIME_JSON,
        datetime.fromisoformat,
        ("eq", "in", *RANGE),
    ),
    Position: Kind("text", _TEXT_TYPES, _JSON_TEXT, positions.decode),
    date: Kind("date", frozenset({"date"}), _JSON_TEXT, date.fromisoformat, ("eq", "in", *RANGE)),
    JSON: Kind("jsonb", frozenset({"json", "jsonb"}), "{}::text", lambda value: value),
}


def _scalar(
    name: str, parse: Callable[[Any], Any], serialize: Callable[[Any], Any] = str
) -> ScalarDefinition:
    return strawberry.scalar(name=name, serialize=serialize, parse_value=parse)


SCALARS: dict[object, ScalarDefinition] = {
    Int64: _scalar("Int64", _integer(64)),
    Points: _scalar("Points", _integer(64)),
    Cursor: _scalar("Cursor", _matching(re.compile(".*", re.DOTALL), str)),
    Decimal: _scalar("Decimal", _decimal),
    datetime: _scalar("DateTime", _matching(_DATE_TIME, _instant), _date_time_text),
    date: _scalar("Date", _matching(_DATE, date.fromisoformat)),
    Position: _scalar(
        "Position",
        _matching(re.compile("[0-9a-f]{24}"), positions.decode),
        lambda value: value if isinstance(value, str) else positions.encode(value),
    ),
}
"""For `StrawberryConfig(scalar_map=SCALARS)`: the planner answers these in SQL, strawberry elsewhere, alike.
"""


def inner_type(type_: Any) -> Any:
    """A field's type without `| None` and without laziness."""
    type_ = type_.of_type if isinstance(type_, StrawberryOptional) else type_
    return type_.resolve_type() if isinstance(type_, LazyType) else type_


def kind_of(type_: Any, prefix: str | None) -> Kind:
    """The kind of a column of this strawberry type; `prefix` is that of the ids in an ID column.

    Raises TypeError for a type that no column can have, and for an enum whose names are not its values in
    capitals.
    """
    type_ = inner_type(type_)
    if isinstance(type_, StrawberryList):
        return _list_kind(kind_of(type_.of_type, prefix))
    if isinstance(type_, StrawberryEnumDefinition):
        return _enum_kind(type_.wrapped_cls)
    if type_ is ID and prefix is not None:
        return id_kind(prefix)
    if hasattr(type_, "__struct__"):
        return STRUCT
    if type_ not in _KINDS:
        raise TypeError(f"{type_} is no type of a column")
    return _KINDS[type_]


@cache
def _enum_kind(enum: Any) -> Kind:
    values = {member.name: member.value for member in enum.__strawberry_definition__.values}
    if any(not isinstance(value, str) or value.upper() != name for name, value in values.items()):
        raise TypeError(f"the values of {enum.__name__} may differ from its names in case only")
    json = "to_json(upper({}))::text" if any(name != value for name, value in values.items()) else _JSON_TEXT
    bound: Callable[[Any], object] = lambda member: member.value  # noqa: E731
    return Kind("text", _TEXT_TYPES, json, enum, ("eq", "in"), bound, _JSON_TEXT)


@cache
def id_kind(prefix: str) -> Kind:
    def bound(text: str) -> UUID | None:
        """An id of another type, or none at all, equals nothing."""
        try:
            found, key = ids.decode(text)
        except ValueError:
            return None
        return key if found == prefix else None

    json = f"""'"{prefix}_' || replace({{}}::text, '-', '') || '"'"""
    return Kind("uuid", frozenset({"uuid"}), json, operators=("eq", "in"), bound=bound)


@cache
def _list_kind(item: Kind) -> Kind:
    def listed(json: str) -> str:
        items = f"(select string_agg({json.replace('{}', 'i')}, ',') from unnest({{}}) i)"
        return f"case when {{}} is not null then concat('[', {items}, ']') end"

    if item is STRUCT:
        return STRUCT
    return Kind(
        f"{item.sql}[]",
        frozenset(f"_{name}" for name in item.stored),
        listed(item.json),
        lambda texts: [item.parse(text) if isinstance(text, str) else text for text in texts],
        OF_LISTS if "eq" in item.operators else (),
        item.bound,
        listed(item.walked or item.json),
    )
