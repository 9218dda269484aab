"""What the tests of access generate from the schema: documents for every field, and rows for every view."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID, uuid5

import psycopg
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_required_argument,
    is_required_input_field,
)
from psycopg import sql

from api.pasts import EVENTS
from api.planner import ids
from api.planner.declared import object_of, origin, read_fields, view_of
from api.planner.views import Column, Composed, Many, One, View
from api.schema import schema
from application.access import Permission, Principal, Role
from tests.api.house import UNITS

GRAPHQL = schema._schema
NAMESPACE = UUID("0195505a-0000-7000-8000-0000000000aa")
NEXT = {"HO": "SH", "SH": "SZ", "SZ": "HO"}
"""A row of a unit refers to rows of the next one: whoever follows the reference leaves his sight."""
SCALARS = {
    "ID": '"xx_00000000000000000000000000000001"',
    "Int": "1",
    "Boolean": "true",
    "Points": '"1"',
    "Decimal": '"1"',
    "Date": '"2027-01-01"',
    "DateTime": '"2027-01-01T00:00:00Z"',
    "Position": f'"{"0" * 24}"',
}
VALUES: Mapping[str, Any] = {
    "bool": False,
    "timestamptz": "2027-01-01T00:00:00Z",
    "date": "2027-01-01",
    "bytea": b"",
    **dict.fromkeys(("int2", "int4", "int8", "numeric"), 1),
}


def principal_of(token: str) -> Principal:
    """`role@UNIT`, of which `+UNIT` are the units whose activities, `/UNIT` those whose data he sees; or a
    program with one scope, `events.read@UNIT`.
    """
    role, _, place = token.partition("@")
    place, _, data = place.partition("/")
    own, *more = place.split("+")
    units = UNITS if own == "HO" else frozenset({own, *more}) & UNITS
    return Principal(
        user=token,
        roles=frozenset({Role(role)} if role in set(Role) else ()),
        org_unit=own,
        units=units,
        data_units=frozenset({data}) if data else None,
        acts_in=frozenset({own}),
        system_permissions=frozenset({Permission(role)} if role in set(Permission) else ()),
    )


# --- Documents ---------------------------------------------------------------


def literal(type_: Any) -> str:
    """A value that the type takes."""
    type_ = get_nullable_type(type_)
    match type_:
        case GraphQLList():
            return f"[{literal(type_.of_type)}]"
        case GraphQLEnumType():
            return str(next(iter(type_.values)))
        case GraphQLInputObjectType():
            fields = type_.fields.items()
            chosen = [name for name, field in fields if is_required_input_field(field)]
            chosen = chosen or ([next(iter(type_.fields))] if type_.is_one_of else [])
            return f"{{{', '.join(f'{name}: {literal(type_.fields[name].type)}' for name in chosen)}}}"
    return SCALARS.get(type_.name, '"x"')


def call(name: str, field: GraphQLField, **given: str) -> str:
    """The field with its required arguments and those that are given."""
    wanted = {n: literal(a.type) for n, a in field.args.items() if is_required_argument(a)} | given
    arguments = ", ".join(f"{n}: {text}" for n, text in wanted.items())
    return f"{name}({arguments})" if arguments else name


def least(name: str, field: GraphQLField) -> str:
    """The field with the smallest selection."""
    below = "" if is_leaf_type(get_named_type(field.type)) else " { __typename }"
    return f"{call(name, field)}{below}"


def roots(operation: str) -> Mapping[str, GraphQLField]:
    found = {"query": GRAPHQL.query_type, "mutation": GRAPHQL.mutation_type}
    type_ = found.get(operation, GRAPHQL.subscription_type)
    assert type_ is not None
    return type_.fields


def is_connection(field: GraphQLField) -> bool:
    return get_named_type(field.type).name.endswith("Connection")


def row_of(field: GraphQLField) -> GraphQLObjectType | None:
    """The type of the rows that a field leads to: of a view, one or many."""
    type_ = get_named_type(field.type)
    if is_connection(field):
        type_ = object_of(object_of(field).fields["nodes"])
    return type_ if isinstance(type_, GraphQLObjectType) and type_ in views() else None


def shown(type_: GraphQLObjectType) -> str:
    """A row's id, and the ids of all rows that it leads to."""
    told = ["id"]
    for name, field in type_.fields.items():
        read = getattr(read_fields(type_).get(name), "read", None)
        if row_of(field) is not None and isinstance(read, One | Many):
            told.append(f"{call(name, field)} {{ {'nodes { id }' if is_connection(field) else 'id'} }}")
        elif isinstance(read, One):
            told.append(f"{name} {{ ... on Node {{ id }} }}")
    return " ".join(told)


# --- Rows --------------------------------------------------------------------


@cache
def views() -> Mapping[GraphQLObjectType, View]:
    types = [type_ for type_ in GRAPHQL.type_map.values() if isinstance(type_, GraphQLObjectType)]
    declared = [type_ for type_ in types if type_.extensions and hasattr(origin(type_), "__view__")]
    return {type_: view_of(type_) for type_ in declared}


def key_of(view: View, unit: str) -> UUID:
    return uuid5(NAMESPACE, f"{view.kind} {unit}")


def id_of(view: View, unit: str) -> str:
    return ids.encode(view.prefix, key_of(view, unit))


@dataclass(frozen=True)
class Reference:
    """A column that leads to rows of another view; `is_array`: it holds several keys."""

    target: View
    is_array: bool = False


@cache
def references() -> Mapping[tuple[str, str], Reference]:
    """What the columns of relations hold, by table and column."""
    found: dict[tuple[str, str], Reference] = {}
    for type_, view in views().items():
        for name, declared in read_fields(type_).items():
            far = row_of(type_.fields[name])
            match declared.read:
                case One(by=by, key="id", kind=kind) if by is not None:
                    named = far or _first(type_.fields[name])
                    found[view.table, by] = Reference(views()[named])
                    if kind is not None:
                        KINDS[view.table, kind] = views()[named].kind
                case Many(by=by, array=array, key="id") if far is not None and (by or array):
                    found[views()[far].table, by or array or ""] = Reference(view, by is None)
    return found


RECORD = """
insert into log.events (stream_id, version, epoch, position, stream_type, event_type, schema_version,
    event_id, recorded_at, effective_at, actor, org_unit, command_id, correlation_id, data,
    previous_hash, hash)
values (%s, 1, 0, %s, '', '', 1, gen_random_uuid(), now(), now(), '', '', gen_random_uuid(),
    gen_random_uuid(), '{}', '', '')
"""
"""An event before all others, for rows whose past is told by the log; nobody decodes it."""

KINDS: dict[tuple[str, str], str] = {}
"""The value of columns that tell the kind of another column's key."""


def _first(field: GraphQLField) -> GraphQLObjectType:
    return GRAPHQL.get_possible_types(get_named_type(field.type))[0]  # type: ignore[arg-type]


@cache
def lists() -> frozenset[tuple[str, str]]:
    """The jsonb columns that hold lists."""
    return frozenset(
        (view.table, declared.column)
        for type_, view in views().items()
        for name, declared in read_fields(type_).items()
        if isinstance(declared.read, Column) and is_list_type(get_nullable_type(type_.fields[name].type))
    )


def seed(url: str) -> None:
    """A row of each view for each unit, whatever their constraints say of what belongs together."""
    with psycopg.connect(url) as connection:
        connection.execute("set session_replication_role = replica")
        _drop_checks(connection)
        for view in views().values():
            for table in filter(None, (view.table, view.versions)):
                if table == EVENTS:
                    continue
                columns = _columns(connection, table)
                for number, unit in enumerate(sorted(UNITS), 1):
                    _insert(connection, table, dict(_row(view, unit, number, columns)))
        streams = {key_of(view, unit) for view in views().values() for unit in sorted(UNITS)}
        connection.cursor().executemany(RECORD, [(key, -at) for at, key in enumerate(sorted(streams), 1)])


def _drop_checks(connection: psycopg.Connection[Any]) -> None:
    names = connection.execute(
        "select conrelid::regclass::text, conname from pg_constraint where contype = 'c'"
        " and connamespace::regnamespace::text in ('read', 'access', 'webhook') and coninhcount = 0"
    ).fetchall()
    for table, name in names:
        drop = sql.SQL("alter table {} drop constraint if exists {}")
        connection.execute(drop.format(sql.SQL(table), sql.Identifier(name)))


def _columns(connection: psycopg.Connection[Any], table: str) -> list[tuple[str, str]]:
    return connection.execute(
        "select a.attname, t.typname from pg_attribute a join pg_type t on t.oid = a.atttypid"
        " where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped"
        " and a.attgenerated = '' and a.attidentity = ''",
        [table],
    ).fetchall()


def _row(view: View, unit: str, number: int, columns: list[tuple[str, str]]) -> Iterator[tuple[str, object]]:
    places = {"epoch_from": 0, "position_from": 0, "epoch_to": 9, "position_to": 9, "version": 1}
    for name, type_ in columns:
        reference = references().get((view.table, name))
        if name == "id":
            yield name, key_of(view, unit)
        elif name == view.scope:
            yield name, unit
        elif reference is not None:
            key = key_of(reference.target, NEXT[unit])
            yield name, [key if type_ == "_uuid" else str(key)] if reference.is_array else key
        elif name in places or (name == "epoch" and view.position):
            yield name, places.get(name, 0)
        elif name == "position":
            yield name, number
        else:
            yield name, _value(view, name, type_, unit)


def _value(view: View, name: str, type_: str, unit: str) -> object:
    if (view.table, name) in KINDS:
        return KINDS[view.table, name]
    if name == "currency":
        return "CNY"
    if type_ == "uuid":
        return key_of(view, f"{unit} {name}")
    if type_ in ("json", "jsonb"):
        return "[]" if (view.table, name) in lists() else "{}"
    return [] if type_.startswith("_") else VALUES.get(type_, f"{name}-{unit}")


def _insert(connection: psycopg.Connection[Any], table: str, row: Mapping[str, object]) -> None:
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.SQL(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    connection.execute(statement, list(row.values()))


def masked_fields() -> list[tuple[GraphQLObjectType, str, str]]:
    """Type, field and permission of each field of a view that not everybody sees."""
    return [
        (type_, name, declared.permission)
        for type_ in views()
        for name, declared in read_fields(type_).items()
        if declared.permission is not None and isinstance(declared.read, Column | Composed)
    ]
