"""Whether declarations agree with each other and with the tables: found at the start, not by a client."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
import strawberry
from graphql import GraphQLObjectType, get_named_type, is_abstract_type, is_leaf_type
from psycopg import AsyncConnection, AsyncCursor

from api.planner.declared import object_of, origin, read_fields, view_of
from api.planner.inputs import sort_kinds
from api.planner.values import kind_of
from api.planner.views import Amount, Column, Composed, Key, Many, One, Payload, ReadField

_COLUMNS = """
select coalesce(json_object_agg(name, columns), '{}')::text from (
    select n.nspname || '.' || c.relname as name,
        json_object_agg(a.attname, json_build_array(t.typname, a.attnotnull)) as columns
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'v', 'm')
    join pg_namespace n on n.oid = c.relnamespace and n.nspname not in ('pg_catalog', 'information_schema')
    join pg_type t on t.oid = a.atttypid
    where a.attnum > 0 and not a.attisdropped
    group by 1
) tables
"""
_INTEGERS, _TEXTS, _UUID = (
    frozenset({"int2", "int4", "int8"}),
    frozenset({"text", "varchar"}),
    frozenset({"uuid"}),
)
_PLACES = ("version", "epoch_from", "position_from", "epoch_to", "position_to")

Tables = Mapping[str, Mapping[str, tuple[str, bool]]]
Need = tuple[str, frozenset[str], bool]
"""A column, the types that it may have, and whether it must be NOT NULL."""


class ViewMismatch(Exception):
    """Lists every fault: `faults`."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def raise_any(faults: Iterator[str]) -> None:
    if found := list(faults):
        raise ViewMismatch(found)


async def check_views(
    schema: strawberry.Schema, connection: AsyncConnection[Any], *, timeline: str | None = None
) -> None:
    """Compare what the views declare with their tables: existence, types, and NOT NULL for fields that are
    not null.

    What lies inside a jsonb column can't be checked. Raises ViewMismatch.
    """
    row = await (await AsyncCursor(connection).execute(_COLUMNS)).fetchone()
    raise_any(_table_faults(schema, orjson.loads(row[0]), timeline))  # type: ignore[index]


def declaration_faults(schema: strawberry.Schema) -> Iterator[str]:
    """Contradictions among declarations, which need no database to be seen."""
    prefixes: dict[str, str] = {}
    for type_ in _types(schema):
        if hasattr(origin(type_), "__view__"):
            view = view_of(type_)
            if (other := prefixes.setdefault(view.prefix, type_.name)) != type_.name:
                yield f"{type_.name}: the prefix {view.prefix} is {other}'s"
            if unfit := {word.split()[0] for word in view.order} - sort_kinds(origin(type_)).keys():
                yield f"{type_.name}: can't order by {sorted(unfit)}: null, masked or no column"
        for name, declared in read_fields(type_).items():
            yield from (f"{type_.name}.{name}: {fault}" for fault in _field_faults(type_, name, declared))


def _field_faults(type_: GraphQLObjectType, name: str, declared: ReadField) -> Iterator[str]:
    named = get_named_type(type_.fields[name].type)
    if declared.permission and not declared.is_nullable:
        yield "what is masked must be nullable"
    match declared.read:
        case Column():
            try:
                kind_of(declared.type, declared.read.prefix)
            except TypeError as error:
                yield str(error)
        case Composed(names):
            members = [column for column, _, _ in _needs(object_of(type_.fields[name]), str, True)]
            if missing := set(members) - names.keys():
                yield f"no column for {sorted(missing)}"
        case One() | Payload() if not declared.is_nullable:
            yield "a row may be missing or not visible, so this must be nullable"
        case One(by=by, kind=None) if by and is_abstract_type(named):
            yield "several types are possible: name the column of the kind"


def _table_faults(schema: strawberry.Schema, tables: Tables, timeline: str | None) -> Iterator[str]:
    for type_ in _types(schema):
        if hasattr(origin(type_), "__view__"):
            view = view_of(type_)
            needs = [("id", _UUID, True), *_needs(type_, str, True)]
            if view.scope:
                needs.append((view.scope, _TEXTS, not view.scope_nullable))
            recorded = [(name, _INTEGERS, True) for name in view.position or ()]
            yield from _faults(type_.name, tables, view.table, needs + recorded)
            if view.versions and not view.past:
                needs += [(place, _INTEGERS, True) for place in _PLACES]
                yield from _faults(type_.name, tables, view.versions, needs)
        for name, declared in read_fields(type_).items():
            if isinstance(read := declared.read, Many) and not read.is_root:
                far = view_of(object_of(object_of(type_.fields[name]).fields["nodes"]))
                need = _joined(read)
                for table in (far.table, None if far.past else far.versions):
                    yield from _faults(f"{type_.name}.{name}", tables, table, [need]) if table else ()
    if timeline:
        place = [("epoch", _INTEGERS, True), ("position", _INTEGERS, True)]
        yield from _faults(
            "asOf", tables, timeline, [*place, ("recorded_at", frozenset({"timestamptz"}), True)]
        )


def _faults(who: str, tables: Tables, table: str, needs: list[Need]) -> Iterator[str]:
    if table not in tables:
        yield f"{who}: there is no table {table}"
        return
    for column, types, not_null in dict.fromkeys(needs):
        stored, is_not_null = tables[table].get(column, (None, False))
        if stored is None:
            yield f"{who}: there is no column {table}.{column}"
        elif stored not in types:
            yield f"{who}: {table}.{column} is {stored}, not one of {sorted(types)}"
        elif not_null and not is_not_null:
            yield f"{who}: {table}.{column} may be null, the field may not"


def _joined(read: Many) -> Need:
    if read.array is not None:
        return read.array, frozenset({"_" + read.array_type.removesuffix("[]")}), False
    return read.by or "", _UUID if read.key == "id" else _TEXTS, False


def _needs(type_: GraphQLObjectType, named: Callable[[str], str | None], certain: bool) -> Iterator[Need]:
    """The columns behind a type's fields. `named`: the column of a member, None for what lies in jsonb."""

    def needs() -> Iterator[tuple[str | None, frozenset[str], bool]]:
        for name, declared in read_fields(type_).items():
            required = certain and not declared.is_nullable
            match declared.read:
                case Column():
                    yield named(declared.column), declared.kind.stored, required
                    if not is_leaf_type(get_named_type(type_.fields[name].type)):
                        yield from _needs(object_of(type_.fields[name]), lambda c: _reaching(c, named), False)
                case Amount(minor, currency):
                    yield named(minor), _INTEGERS, required
                    yield named(currency), _TEXTS, required
                case Composed(names):
                    yield from _needs(
                        object_of(type_.fields[name]), lambda c: named(names.get(c, c)), required
                    )
                case One(by=by, kind=kind, key=key) if by:
                    yield named(by), _UUID if "id" in (by, key) else _TEXTS, False
                    yield (named(kind) if kind else None), _TEXTS, False
                case Key():
                    yield named("id"), _UUID, True

    yield from ((column, types, required) for column, types, required in needs() if column is not None)


def _reaching(column: str, named: Callable[[str], str | None]) -> str | None:
    return named(column.removeprefix("row.")) if column.startswith("row.") else None


def _types(schema: strawberry.Schema) -> list[GraphQLObjectType]:
    return [
        type_
        for type_ in schema._schema.type_map.values()
        if isinstance(type_, GraphQLObjectType) and type_.extensions
    ]
