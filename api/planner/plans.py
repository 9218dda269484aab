"""The selection of a whole query becomes one SQL statement that returns the response's JSON.

A plan is SQL text with slots. The text hangs on document, operation, permissions and the variables in @skip/@include;
slots hold what differs between requests (arguments, row scope, the instant of `asOf`). JSON is built by `concat`: in
PostgreSQL that is 1.5x faster than json_build_object, which copies nested values once a level. But it skips NULL, so
whatever may be null is coalesced to 'null'.
"""

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol, cast
from uuid import UUID

from graphql import (
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
)
from graphql.execution.collect_fields import FieldDetails, FieldDetailsList, FragmentDetails
from graphql.execution.collect_fields import collect_fields, collect_subfields
from graphql.execution.values import VariableValues

from api.planner import ids
from api.planner.pages import Pager, arguments_of, expression, permitted
from api.planner.requests import Parts, Request, Slot, filled, refused
from api.planner.values import id_kind
from api.planner.views import Amount, Column, Composed, Computed, Key, Listed, Many, One, ReadField, View

MEMBERS_AT_ONCE = 40  # a PostgreSQL function takes at most 100 arguments
MAX_IDS = 100
MINOR_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
"""ISO 4217: the currencies whose minor unit is not a hundredth."""


class NotPlannable(Exception):
    """A selected field has a resolver of its own: the stock executor must walk the answer."""


class Source(Protocol):
    """Where the members of an object come from. `certain`: null only where a declaration says so."""

    @property
    def certain(self) -> bool: ...
    def column(self, name: str, sql_type: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Table:
    """A row; the types of its columns are checked at the start."""

    alias: str
    certain = True

    def column(self, name: str, sql_type: str) -> str:  # noqa: ARG002
        return f"{self.alias}.{name}"


@dataclass(frozen=True, slots=True)
class Json:
    """A jsonb object in a row (or in another object). What it holds is not known, so anything may be null."""

    value: str
    outer: Source
    certain = False

    def column(self, name: str, sql_type: str) -> str:
        if name.startswith("row."):
            return self.outer.column(name.removeprefix("row."), sql_type)
        if sql_type == "jsonb":
            return f"({self.value}->'{name}')"
        if sql_type.endswith("[]"):
            return f"array(select jsonb_array_elements_text({self.value}->'{name}'))::{sql_type}"
        return f"({self.value}->>'{name}')::{sql_type}"


@dataclass(frozen=True, slots=True)
class Renamed:
    """Columns of a row under the names of a struct's members."""

    inner: Source
    names: Mapping[str, str]
    certain: bool

    def column(self, name: str, sql_type: str) -> str:
        return self.inner.column(self.names[name], sql_type)


Instant = Callable[[Request], str | None]


def _now(_: Request) -> None:
    return None


def _once(_: Request) -> int:
    return 1


@dataclass(slots=True)
class Planner:
    """Compiles one operation for one set of permissions. `walked`: the stock executor will read the JSON.

    `timeline` is the table (epoch, position, recorded_at) by which a time becomes a position.
    """

    schema: GraphQLSchema
    fragments: dict[str, FragmentDetails]
    operation: OperationDefinitionNode
    variables: VariableValues
    permissions: frozenset[str]
    timeline: str | None
    walked: bool = False
    characters: int = 0
    _slots: list[Slot] = field(default_factory=list)
    _aliases: int = 0
    _instant: Instant = _now
    _around: Callable[[Request], int] = _once

    def query(self, extensions: Slot) -> Parts:
        """The plan of the operation: one column with the response body. Raises NotPlannable."""
        root = cast(GraphQLObjectType, self.schema.query_type)
        selected = collect_fields(self.schema, self.fragments, self.variables, root, self.operation)
        data = {key: self.member(root, nodes, Table("")) for key, nodes in selected.grouped_field_set.items()}
        return self._parts(f"select concat('{{\"data\":', {json_object(data)}{self._slot(extensions)}, '}}')")

    def root_member(self, parent: GraphQLObjectType, nodes: FieldDetailsList) -> Parts:
        """The plan of one root field of a walked answer."""
        return self._parts(f"select {self.member(parent, nodes, Table(''))}")

    def payload_member(self, graphql_field: GraphQLField, nodes: FieldDetailsList, key: UUID) -> Parts:
        """The plan of the row with this key, below the object of a resolver."""
        return self._parts(
            f"select {self._one(graphql_field.type, nodes, None, 'id', self._slot(_bound(key)))}"
        )

    def member(self, parent: GraphQLObjectType, nodes: FieldDetailsList, source: Source) -> str:
        """The SQL text of one field's JSON; never NULL."""
        name = nodes[0].node.name.value
        if name == "__typename":
            return json_text(parent.name)
        if (declared := read_fields(parent).get(name)) is None:
            raise NotPlannable
        if not permitted(declared, self.permissions):
            return "'null'"
        graphql_field = parent.fields[name]
        match declared.read:
            case Column():
                return self._column(declared, graphql_field, nodes, source)
            case Computed(sql):
                return self._computed(declared, sql, source)
            case Amount(minor, currency):
                text = amount(source.column(minor, "bigint"), source.column(currency, "text"))
                return text if source.certain else f"coalesce({text}, 'null')"
            case Composed(names, present):
                members = Renamed(source, names, source.certain and not declared.is_nullable)
                text = self._object(object_of(graphql_field), nodes, members)
                found = f"{source.column(present, 'text')} is null"
                return f"case when {found} then 'null' else {text} end" if declared.is_nullable else text
            case Key():
                return id_kind(view_of(parent).prefix).json.replace("{}", source.column("id", "uuid"))
            case Many(is_root=False) as read:
                return self._connection(parent, graphql_field, nodes, read, source)
            case One(by=by, kind=kind, key=key) if by is not None:
                of_kind = source.column(kind, "text") if kind else None
                found = source.column(by, "uuid" if key == "id" else "text")
                return self._one(graphql_field.type, nodes, of_kind, key, found)
            case Many() | One() | Listed() as read:
                return self._root(parent, graphql_field, nodes, read)
        raise NotPlannable

    def _root(
        self,
        parent: GraphQLObjectType,
        graphql_field: GraphQLField,
        nodes: FieldDetailsList,
        read: Many | One | Listed,
    ) -> str:
        """A root field. All below is read at the instant of its `asOf`."""
        before = self._instant
        try:
            match read:
                case Many():
                    row = object_of(object_of(graphql_field).fields["nodes"])
                    self._instant = self._past(graphql_field, nodes[0], view_of(row))
                    return self._connection(parent, graphql_field, nodes, read, Table(""))
                case One():
                    if not is_abstract_type(named := get_named_type(graphql_field.type)):
                        self._instant = self._past(
                            graphql_field, nodes[0], view_of(cast(GraphQLObjectType, named))
                        )
                    return self._identified(graphql_field, nodes)
            return self._listed(graphql_field, nodes)
        finally:
            self._instant = before

    def _column(
        self, declared: ReadField, graphql_field: GraphQLField, nodes: FieldDetailsList, source: Source
    ) -> str:
        kind = declared.kind
        value = source.column(declared.column, kind.sql)
        nullable = declared.is_nullable or not source.certain
        if not is_leaf_type(get_named_type(graphql_field.type)):
            return self._struct(graphql_field, nodes, value, source, nullable)
        text = ((self.walked and kind.walked) or kind.json).replace("{}", value)
        return f"coalesce({text}, 'null')" if nullable else text

    def _computed(self, declared: ReadField, sql: str, source: Source) -> str:
        if not isinstance(source, Table):
            raise TypeError("a computed field stands in a view")
        kind, alias = declared.kind, source.alias
        value = self._slot(lambda r: f"({expression(sql, r, alias)})")
        return ((self.walked and kind.walked) or kind.json).replace("{}", value)

    def _struct(
        self, graphql_field: GraphQLField, nodes: FieldDetailsList, value: str, source: Source, nullable: bool
    ) -> str:
        """A jsonb object, or the elements of a jsonb array."""
        type_ = object_of(graphql_field)
        if not is_list_type(get_nullable_type(graphql_field.type)):
            text = self._object(type_, nodes, Json(value, source))
            return (
                f"case jsonb_typeof({value}) when 'object' then {text} else 'null' end" if nullable else text
            )
        alias = self._next_alias()
        element = self._object(type_, nodes, Json(f"{alias}.value", source))
        elements = f"jsonb_array_elements({value}) with ordinality {alias}(value, ordinality)"
        text = f"(select concat('[', string_agg({element}, ',' order by {alias}.ordinality), ']') from {elements})"
        return (
            f"case jsonb_typeof({value}) when 'array' then {text} else '{'null' if nullable else '[]'}' end"
        )

    def _object(self, type_: GraphQLObjectType, nodes: FieldDetailsList, source: Source) -> str:
        """The JSON object of one row or struct."""
        members: dict[str, str] = {"$type": json_text(type_.name)} if self.walked else {}
        has_resolvers = False
        for key, details in self._selection(type_, nodes).items():
            try:
                members[key] = self.member(type_, details, source)
            except NotPlannable:
                if not self.walked:
                    raise
                has_resolvers = True
        if has_resolvers:  # which read the row's own columns as attributes
            for name, declared in read_fields(type_).items():
                if isinstance(declared.read, Column) and is_leaf_type(
                    get_named_type(type_.fields[name].type)
                ):
                    seen = permitted(declared, self.permissions)
                    text = self._column(declared, type_.fields[name], nodes, source) if seen else "'null'"
                    members[f"${declared.python_name}"] = text
        return json_object(members)

    def _identified(self, graphql_field: GraphQLField, nodes: FieldDetailsList) -> str:
        """The row of the argument `id`; of an abstract type's many tables, only the one of its prefix is asked."""

        def identity(request: Request) -> tuple[str, UUID | None]:
            return _decoded(arguments_of(request, graphql_field, nodes[0])["id"])

        key = self._slot(lambda r: r.once(("key", id(nodes[0].node)), lambda: r.bind(identity(r)[1], "uuid")))
        rows = self._branches(graphql_field.type, lambda row: self._one(row, nodes, None, "id", key))
        return self._slot(lambda r: filled(rows.get(identity(r)[0], ["'null'"]), r))

    def _listed(self, graphql_field: GraphQLField, nodes: FieldDetailsList) -> str:
        alias = self._next_alias()

        def identities(request: Request) -> list[tuple[str, UUID | None]]:
            given = arguments_of(request, graphql_field, nodes[0])["ids"]
            if len(given) > MAX_IDS:
                raise refused("LIMIT_EXCEEDED", f"more than {MAX_IDS} ids")
            return [_decoded(text) for text in given]

        with self._repeated(lambda r: len(identities(r))):
            rows = self._branches(
                graphql_field.type, lambda row: self._one(row, nodes, None, "id", f"{alias}.key")
            )

        def fill(request: Request) -> str:
            found = identities(request)
            prefixes = sorted({prefix for prefix, _ in found} & rows.keys())
            cases = " ".join(f"when '{prefix}' then {filled(rows[prefix], request)}" for prefix in prefixes)
            row = f"case {alias}.prefix {cases} else 'null' end" if cases else "'null'"
            bound = [
                request.bind([prefix for prefix, _ in found] or "{}", "text[]"),
                request.bind([key for _, key in found] or "{}", "uuid[]"),
            ]
            asked = f"unnest({', '.join(bound)}) with ordinality {alias}(prefix, key, place)"
            return f"(select concat('[', string_agg({row}, ',' order by {alias}.place), ']') from {asked})"

        return self._slot(fill)

    def _branches(self, type_: Any, compile_row: Callable[[Any], str]) -> dict[str, Parts]:
        return {view_of(row).prefix: self._parts(compile_row(row)) for row in self._row_types(type_)}

    def _one(self, type_: Any, nodes: FieldDetailsList, kind: str | None, key_column: str, key: str) -> str:
        """The row whose `key_column` is `key`, or 'null'; `kind` is the SQL of what tells its type, if several are."""
        found = {}
        for row in self._row_types(type_):
            view, alias = view_of(row), self._next_alias()
            value = self._object(row, nodes, Table(alias))
            found[view.kind] = (
                f"(select {value} from {self._rows(view, alias)} and {alias}.{key_column} = {key})"
            )
        cases = " ".join(f"when '{name}' then {sql}" for name, sql in found.items())
        return f"coalesce({f'case {kind} {cases} end' if kind else next(iter(found.values()))}, 'null')"

    def _connection(
        self,
        parent: GraphQLObjectType,
        graphql_field: GraphQLField,
        nodes: FieldDetailsList,
        read: Many,
        source: Source,
    ) -> str:
        type_ = object_of(graphql_field)
        row, alias = object_of(type_.fields["nodes"]), self._next_alias()
        view, name = view_of(row), f"{parent.name}.{nodes[0].node.name.value}"
        pager = Pager(graphql_field, nodes[0], origin(row), view, alias, name, read.choices, self._around)
        paged = pager.page
        within = f"{self._rows(view, alias)} and {_joined(read, source, alias)}{self._slot(lambda r: paged(r).matching)}"
        selected = self._selection(type_, nodes)
        names = {details[0].node.name.value for details in selected.values()}
        one_more = "pageInfo" in names
        size = self._slot(lambda r: paged(r).size)
        kept = f' filter (where {alias}."#" <= {size})' if one_more else ""

        def part(above: GraphQLObjectType, details: FieldDetailsList) -> str:
            name = details[0].node.name.value
            inner = object_of(above.fields[name]) if name in ("pageInfo", "edges") else above
            match name:
                case "__typename":
                    return json_text(above.name)
                case "totalCount":
                    return f"(select count(*) from {within})"
                case "pageInfo":
                    return json_object(
                        {key: part(inner, d) for key, d in self._selection(inner, details).items()}
                    )
                case "edges":
                    edge = json_object(
                        {key: part(inner, d) for key, d in self._selection(inner, details).items()}
                    )
                    return f"concat('[', string_agg({edge}, ','){kept}, ']')"
                case "nodes":
                    return (
                        f"concat('[', string_agg({self._object(row, details, Table(alias))}, ','){kept}, ']')"
                    )
                case "node":
                    return self._object(row, details, Table(alias))
                case "cursor":
                    return self._slot(lambda r: paged(r).cursor)
            return self._slot(lambda r: paged(r).info[name])

        with self._repeated(pager.rows):
            value = json_object({key: part(type_, details) for key, details in selected.items()})
        if names <= {"totalCount", "__typename"}:  # the arguments are judged all the same
            return f"{value}{self._slot(lambda r: paged(r).size and '')}"
        beyond, order = self._slot(lambda r: paged(r).beyond), self._slot(lambda r: paged(r).order)
        rows = f"select * from {within}{beyond} order by {order} limit {size}{' + 1' if one_more else ''}"
        numbers = ', row_number() over () as "#", count(*) over () as "##"' if one_more else ""
        outer = self._slot(lambda r: paged(r).outer_order)
        return f"(select {value} from (select *{numbers} from ({rows}) {alias}{outer}) {alias} having true)"  # one row

    def _rows(self, view: View, alias: str) -> str:
        """`table alias where …`: the rows that the viewer may see, now or at the instant of the root field."""
        table, scope = view.table, "true"
        if view.scope:
            scope = f"{alias}.{view.scope} = any({self._slot(lambda r: r.viewers('units'))})"
            scope = f"({alias}.{view.scope} is null or {scope})" if view.scope_nullable else scope
        if (versions := view.versions) and (instant := self._instant) is not _now:
            table = self._slot(lambda r: versions if instant(r) else view.table)

            def at(request: Request) -> str:
                now = instant(request)
                begun, ended = (f"({alias}.epoch_{end}, {alias}.position_{end})" for end in ("from", "to"))
                return f" and {begun} <= {now} and {ended} > {now}" if now else ""

            scope += self._slot(at)
        return f"{table} {alias} where {scope}"

    def _past(self, graphql_field: GraphQLField, details: FieldDetails, view: View) -> Instant:
        """The SQL of the row (epoch, offset) that `asOf` means, or None for now."""
        if view.versions is None:
            return _now

        def instant(request: Request) -> str | None:
            given = arguments_of(request, graphql_field, details)
            match given.get("asOf"):
                case None:
                    return None
                case {"position": position}:
                    return (
                        f"({request.bind(position.epoch, 'int')}, {request.bind(position.offset, 'bigint')})"
                    )
                case {"time": time} if self.timeline:
                    return request.subquery(_AT_TIME.format(self.timeline, request.bind(time, "timestamptz")))
                case {"version": version} if "id" in graphql_field.args:
                    key = request.bind(_decoded(given["id"])[1], "uuid")
                    return request.subquery(
                        _AT_VERSION.format(view.versions, key, request.bind(version, "int"))
                    )
            raise refused("BAD_AS_OF", "a version is of one object only, and times may be unknown here")

        return lambda r: r.once(("asOf", id(details.node)), lambda: instant(r))

    def _row_types(self, type_: Any) -> list[GraphQLObjectType]:
        named: Any = get_named_type(type_)
        return list(self.schema.get_possible_types(named)) if is_abstract_type(named) else [named]

    def _selection(self, type_: GraphQLObjectType, nodes: FieldDetailsList) -> Mapping[str, FieldDetailsList]:
        found = collect_subfields(self.schema, self.fragments, self.variables, self.operation, type_, nodes)
        return found.grouped_field_set

    @contextmanager
    def _repeated(self, rows: Callable[[Request], int]) -> Iterator[None]:
        before, self._around = self._around, rows
        yield
        self._around = before

    def _slot(self, fill: Slot) -> str:
        self._slots.append(fill)
        return f"\0{len(self._slots) - 1}\0"

    def _parts(self, text: str) -> Parts:
        self.characters += len(text)
        return tuple(self._slots[int(piece)] if i % 2 else piece for i, piece in enumerate(text.split("\0")))

    def _next_alias(self) -> str:
        self._aliases += 1
        return f"t{self._aliases}"


_AT_TIME = """select epoch, position from {0} where recorded_at <= {1}
    order by recorded_at desc, epoch desc, position desc limit 1"""
# A version between two rows is the older row's; one that does not exist yet is none.
_AT_VERSION = """select epoch_from, position_from from {0} where id = {1} and version <= {2}
    and {2} <= (select max(version) from {0} where id = {1})
    order by version desc, epoch_from desc, position_from desc limit 1"""


def _joined(read: Many, source: Source, alias: str) -> str:
    if read.is_root:
        return "true"
    if read.array is None:
        return f"{alias}.{read.by} = {source.column(read.key, 'uuid' if read.key == 'id' else 'text')}"
    return f"{alias}.{read.array} @> array[{source.column(read.key, 'text')}]::{read.array_type}"


def _bound(key: UUID) -> Slot:
    return lambda request: request.bind(key, "uuid")


def _decoded(text: str) -> tuple[str, UUID | None]:
    """Prefix and key of a global id; what is none has the prefix of no type."""
    try:
        return ids.decode(text)
    except ValueError:
        return "", None


def amount(minor: str, currency: str) -> str:
    """The SQL of a JSON string: `minor` units as a decimal with the digits of the currency."""
    cases = []
    for digits, codes in MINOR_DIGITS.items():
        listed = ", ".join(f"'{code}'" for code in codes.split())
        cases.append(f"when {currency} in ({listed}) then {_decimal(minor, digits)}")
    return f"""'"' || case {" ".join(cases)} else {_decimal(minor, 2)} end || '"'"""


def _decimal(minor: str, digits: int) -> str:
    return f"({minor} / {10**digits}::numeric)::numeric(38, {digits})::text" if digits else f"{minor}::text"


@lru_cache(maxsize=10_000)
def read_fields(type_: GraphQLObjectType) -> dict[str, ReadField]:
    declared = {name: f.extensions.get("strawberry-definition") for name, f in type_.fields.items()}
    return {name: f for name, f in declared.items() if isinstance(f, ReadField)}


def object_of(graphql_field: GraphQLField) -> GraphQLObjectType:
    return cast(GraphQLObjectType, get_named_type(graphql_field.type))


def origin(type_: GraphQLNamedType) -> Any:
    """The strawberry class of a GraphQL type."""
    return type_.extensions["strawberry-definition"].origin


def view_of(row: GraphQLObjectType) -> View:
    return origin(row).__view__  # type: ignore[no-any-return]


def json_text(name: str) -> str:
    return f"""'"{name}"'"""


def json_object(members: Mapping[str, str]) -> str:
    """A SQL text expression; names are GraphQL names, so they need no escape."""
    items = [f"""'{"," if i else "{"}"{key}":', {value}""" for i, (key, value) in enumerate(members.items())]
    chunks = [", ".join(items[i : i + MEMBERS_AT_ONCE]) for i in range(0, len(items), MEMBERS_AT_ONCE)] or [
        "'{'"
    ]
    nested = ", ".join(f"concat({chunk})" for chunk in chunks) if len(chunks) > 1 else chunks[0]
    return f"concat({nested}, '}}')"
