"""JSON Schemas of public events, made from the mappings themselves: each is shown every shape of its event.

A stored event's type says which values it may have: an option is there or not, a list is empty or not, an
enumeration has its members. The mapping turns all of these into data, and what they have in common is the
schema. So no schema can differ from what is sent.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from api.public_disclosures import sent
from api.public_mappings import MAPPINGS
from api.webhook_events import schema_id, sent_events
from application.shared.records import Context, Position, Record
from domain.approvals import Subject
from domain.group_rules import Comparison, Condition, Dimension, Rule
from domain.shared.money import Money
from domain.webhook_contents import Disclosure

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
DEPTH_MAX = 12
_ID = UUID("0195505a-0000-7000-8000-000000000001")
_KEY = "a key of a map"
_MOMENT = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_PLAIN = Rule(condition=Condition(Dimension.TRANSACTION_SUM, Comparison.AT_LEAST, ("5000.00",)))

_GIVEN: Mapping[type, Sequence[Any]] = {
    str: ("text", ""),
    int: (1, 0),
    bool: (True, False),
    UUID: (_ID,),
    datetime: (_MOMENT,),
    date: (date(2026, 3, 1),),
    timedelta: (timedelta(days=1),),
    Decimal: (Decimal("1.50"),),
    NoneType: (None,),
    # Not every combination of these is one.
    Money: (Money(12_345, "CNY"),),
    Subject: (Subject("activity", _ID, 2, "0" * 64, "SPRING-26", "HO"),),
    Rule: (_PLAIN,),
}

OF_ANY_DEPTH: Mapping[str, frozenset[str]] = {"customer_group": frozenset({"rule"})}
"""Fields that hold things of their own kind, by the kind of subject: no more is said than that."""


# --- Every shape of an event ----------------------------------------------


def shapes(hint: Any, depth: int = 0) -> Sequence[Any]:
    """Values of the type, the fullest first; then each part of it in each of its shapes, one at a time."""
    assert depth < DEPTH_MAX, f"{hint} holds itself"
    if hint in _GIVEN:
        return _GIVEN[hint]
    kind, parts = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        ordered = sorted(parts, key=lambda part: part is NoneType)
        return [value for part in ordered for value in shapes(part, depth + 1)]
    if kind in (tuple, frozenset):
        return [*(kind((value,)) for value in shapes(parts[0], depth + 1)), kind()]
    if kind is not None and issubclass(kind, Mapping):
        keys = [_KEY] if parts[0] is str else shapes(parts[0], depth + 1)
        return [{key: value} for key in keys for value in shapes(parts[1], depth + 1)]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return list(hint)
    assert is_dataclass(hint), f"{hint} has no shapes"
    assert isinstance(hint, type)
    return _shapes_of_fields(hint, depth)


def _shapes_of_fields(hint: type, depth: int) -> Sequence[Any]:
    hints = get_type_hints(hint)
    found = {field.name: shapes(hints[field.name], depth + 1) for field in fields(hint)}
    full = hint(**{name: values[0] for name, values in found.items()})
    others = [replace(full, **{name: value}) for name, values in found.items() for value in values[1:]]
    return [full, *others]


def _record(kind: str, event: Any) -> Record[Any]:
    context = Context("lin", None, "HO", _ID, _ID, None, _MOMENT)
    return Record(_ID, kind, 1, Position(1, 1), "", 1, _ID, _MOMENT, context, event)


# --- What they have in common ---------------------------------------------


def schema_of(value: Any) -> Schema:
    """The schema of one value."""
    match value:
        case None:
            return {"type": ["null"]}
        case bool():
            return {"type": ["boolean"]}
        case int():
            return {"type": ["integer"]}
        case float():
            return {"type": ["number"]}
        case str():
            return {"type": ["string"], **_format(value)}
        case list():
            return {"type": ["array"], "items": both(map(schema_of, value))}
        case dict() if set(value) == {_KEY}:
            return {"type": ["object"], "additionalProperties": schema_of(value[_KEY])}
    assert isinstance(value, dict), f"{type(value)} is not JSON"
    members = {name: schema_of(member) for name, member in value.items()}
    return {"type": ["object"], "properties": members, "required": sorted(members)}


def both(schemas: Iterable[Schema]) -> Schema:
    """What holds of all values that the schemas hold of; {} for none."""
    merged: Schema = {}
    for schema in schemas:
        merged = _merged(merged, schema) if merged else schema
    return merged


def _merged(one: Schema, other: Schema) -> Schema:
    types = sorted({*one.get("type", ()), *other.get("type", ())})
    merged: Schema = {"type": types} if types else {}
    for name in ("items", "additionalProperties"):
        parts = [schema[name] for schema in (one, other) if schema.get(name)]
        if parts or name in one or name in other:
            merged[name] = both(parts)
    told = [schema for schema in (one, other) if "properties" in schema]
    if told:
        names = sorted({name for schema in told for name in schema["properties"]})
        merged["properties"] = {
            name: both(schema["properties"][name] for schema in told if name in schema["properties"])
            for name in names
        }
        merged["required"] = sorted(set.intersection(*(set(schema["required"]) for schema in told)))
    strings = [schema for schema in (one, other) if "string" in schema.get("type", ())]
    formats = {schema.get("format") for schema in strings}
    if len(formats) == 1 and (format_ := formats.pop()):
        merged["format"] = format_
    return merged


def _format(text: str) -> Schema:
    if _INSTANT.fullmatch(text):
        return {"format": "date-time"}
    return {"format": "date"} if _DATE.fullmatch(text) else {}


# --- The schemas ----------------------------------------------------------


@cache
def data_schemas() -> Mapping[str, Schema]:
    """The schema of `data` of every type that is sent, by `type.vN`."""
    found: dict[str, Schema] = {}
    for kind, type_, event in sent_events():
        mapping = MAPPINGS[event]
        data = [mapping.data(_record(kind, shape)) for shape in shapes(event)]
        told = [sent(kind, each, discloses) for each in data for discloses in (tuple(Disclosure), ())]
        name = f"{type_}.v{mapping.version}"
        schema = both([*([found[name]] if name in found else []), *map(schema_of, told)])
        for field in OF_ANY_DEPTH.get(kind, frozenset()) & schema["properties"].keys():
            schema["properties"][field] = {"type": ["null", "object"]}
        found[name] = schema
    return {
        name: {"$schema": DIALECT, "$id": _id_of(name), "title": name, **schema}
        for name, schema in sorted(found.items())
    }


def _id_of(name: str) -> str:
    type_, _, version = name.rpartition(".v")
    return schema_id(type_, int(version))


def breaking(old: Schema, new: Schema, at: str = "") -> Iterator[str]:
    """Where a reader who relies on `old` fails on what `new` allows: gone or optional fields, other types."""
    more = sorted(set(new.get("type", ())) - set(old.get("type", ())))
    if more and old.get("type"):
        yield f"{at or '.'} may be {', '.join(more)}"
    if old.get("format") and old["format"] != new.get("format") and "string" in new.get("type", ()):
        yield f"{at or '.'} is no {old['format']}"
    for name in sorted(set(old.get("required", ())) - set(new.get("required", ()))):
        yield f"{at}.{name} may be missing"
    for name, member in old.get("properties", {}).items():
        if name in new.get("properties", {}):
            yield from breaking(member, new["properties"][name], f"{at}.{name}")
        elif name not in old.get("required", ()):
            yield f"{at}.{name} is gone"
    for name in ("items", "additionalProperties"):
        if old.get(name) and isinstance(new.get(name), dict):
            yield from breaking(old[name], new[name], f"{at}[]")


def breaking_changes(old: Mapping[str, Schema], new: Mapping[str, Schema]) -> list[str]:
    """What breaks readers between two sets of schemas; a type or version that is gone breaks them too."""
    return [
        *(f"{name} is gone" for name in old if name not in new),
        *(f"{name}{fault}" for name in old if name in new for fault in breaking(old[name], new[name])),
    ]
