"""The arguments of read fields, generated from the views: filters, orders and the past."""

import enum
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryList, get_object_definition
from strawberry.types.enum import StrawberryEnumDefinition

from api.planner import views
from api.planner.positions import Position
from api.planner.values import KEY, Cursor, Kind, id_kind, inner_type

if TYPE_CHECKING:
    from api.planner.views import ReadField

_NAMES = {str: "String", int: "Int", bool: "Boolean", datetime: "DateTime", strawberry.ID: "ID"}


@strawberry.input(
    one_of=True, description="The past: at a position, at a time, or at a version of one object."
)
class AsOf:
    position: Position | None = strawberry.UNSET
    time: datetime | None = strawberry.UNSET
    version: int | None = strawberry.UNSET


@cache
def comparable(row: type) -> dict[str, tuple["ReadField", Kind]]:
    """The columns of a view by which a filter can compare, and its id, by their Python names."""
    found = {}
    for field in get_object_definition(row, strict=True).fields:
        read = getattr(field, "read", None)
        if isinstance(read, views.Key):
            found[field.python_name] = field, id_kind(row.__view__.prefix)  # type: ignore[attr-defined]
        elif isinstance(read, views.Column) and field.kind.operators:  # type: ignore[attr-defined]
            found[field.python_name] = field, field.kind  # type: ignore[attr-defined]
    return found  # type: ignore[return-value]


@cache
def sort_kinds(row: type) -> dict[str, Kind]:
    """Sort keys: columns that are never null and never masked, so that a keyset cursor is total and leaks
    nothing.
    """
    plain = {
        name: kind for name, (f, kind) in comparable(row).items() if not f.is_nullable and not f.permission
    }
    return {name: kind for name, kind in plain.items() if kind.is_sortable} | {"id": KEY}


@cache
def filter_input(row: type) -> type:
    words = {"and": list, "or": list, "not": None}
    members: dict[str, Any] = {f"{w}_": strawberry.field(name=w, default=strawberry.UNSET) for w in words}
    annotations: dict[str, Any] = {f"{w}_": str | None for w in words}  # the class itself, once it exists
    for name, (field, kind) in comparable(row).items():
        members[name] = strawberry.UNSET
        annotations[name] = compare_input(_compared_type(field.type), kind.operators) | None
    made = strawberry.input(type(f"{row.__name__}Filter", (), {"__annotations__": annotations, **members}))
    for member in get_object_definition(made, strict=True).fields:
        if member.graphql_name in words:
            inner: Any = list[made] if words[member.graphql_name] else made  # type: ignore[valid-type]
            member.type_annotation = StrawberryAnnotation(inner | None)
    return made


def _compared_type(type_: Any) -> Any:
    """What one value is compared with: of a list, a member."""
    inner = inner_type(type_)
    return inner_type(inner.of_type) if isinstance(inner, StrawberryList) else inner


@cache
def compare_input(type_: Any, operators: tuple[str, ...]) -> Any:
    """The comparisons of one type: `StringCompare`, `DateTimeListCompare`, `ActivityStatusCompare` …"""
    is_enum = isinstance(type_, StrawberryEnumDefinition)
    compared: Any = type_.wrapped_cls if is_enum else type_
    name = type_.name if is_enum else _NAMES.get(type_) or type_.__name__.capitalize()
    name = f"Tree{name}" if "within" in operators else f"{name}List" if "has" in operators else name
    types = {"in": list[compared], "hasSome": list[compared], "contains": str, "isNull": bool}
    members: dict[str, Any] = {}
    annotations: dict[str, Any] = {}
    for operator in (*operators, "isNull"):
        members[f"{operator}_"] = strawberry.field(name=operator, default=strawberry.UNSET)
        annotations[f"{operator}_"] = types.get(operator, compared) | None
    return strawberry.input(type(f"{name}Compare", (), {"__annotations__": annotations, **members}))


@cache
def order_enum(row: type) -> Any:
    members = {
        f"{name}_{way}".upper(): f"{name} {way}" for name in sort_kinds(row) for way in ("asc", "desc")
    }
    made: Any = enum.Enum(f"{row.__name__}Order", members)  # type: ignore[misc]
    return strawberry.enum(made)


def arguments(field: "ReadField") -> list[StrawberryArgument]:
    row = views.row_type(field.type)
    has_past = getattr(getattr(row, "__view__", None), "has_past", False)
    as_of = [_argument("as_of", AsOf | None)] if has_past else []
    match field.read:
        case views.One(by=None):
            return [_argument("id", strawberry.ID), *as_of]
        case views.Listed():
            return [_argument("ids", list[strawberry.ID])]
        case views.Many() as read:
            optional: dict[str, Any] = {"first": int, "after": Cursor, "last": int, "before": Cursor}
            order: Any = order_enum(row)
            optional |= {"filter": filter_input(row), "order_by": list[order]}
            return [
                *(_argument(name, made.enum) for name, made in read.choices.items()),
                *(_argument(name, type_ | None) for name, type_ in optional.items()),
                *(as_of if read.is_root else ()),
            ]
    return []


def _argument(name: str, type_: Any) -> StrawberryArgument:
    return StrawberryArgument(name, None, StrawberryAnnotation(type_))
