"""The selection of a whole query becomes one SQL statement that returns the response's JSON.

A plan is SQL text with slots. The text hangs on document, operation, permissions and the variables in
@skip/@include; slots hold what differs between requests (arguments, row scope, the instant of `asOf`). JSON
is built by `concat`: in PostgreSQL that is 1.5x faster than json_build_object, which copies nested values
once a level. But it skips NULL, so whatever may be null is coalesced to 'null'.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
)
from graphql.execution.collect_fields import (
    FieldDetailsList,
    FragmentDetails,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues

from api.planner import ids
from api.planner.declared import object_of, origin, read_fields, view_of
from api.planner.instants import Instant, Tables, Timeline, now, past, pasts
from api.planner.masks import Reason
from api.planner.pages import Page, Pager, arguments_of, expression, permitted
from api.planner.requests import Parts, Request, Slot, filled, refused
from api.planner.sources import Json, Renamed, Source, Table, amount, json_object, json_text
from api.planner.values import id_kind
from api.planner.views import Amount, Column, Composed, Computed, Key, Listed, Many, One, ReadField, View

MAX_IDS = 100


class NotPlannable(Exception):
    """A selected field has a resolver of its own: the stock executor must walk the answer."""


def _once(_: Request) -> int:
    return 1


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A connection under way: the SQL `within` of its rows, and `kept`, which drops the row that tells of
    more.
    """

    row: GraphQLObjectType
    alias: str
    paged: Callable[[Request], Page]
    within: str
    kept: str


@dataclass(slots=True)
class Planner:
    """Compiles one operation for one set of permissions. `walked`: the stock executor will read the JSON."""

    schema: GraphQLSchema
    fragments: dict[str, FragmentDetails]
    operation: OperationDefinitionNode
    variables: VariableValues
    permissions: frozenset[str]
    timeline: Timeline | None
    walked: bool = False
    characters: int = 0
    _slots: list[Slot] = field(default_factory=list)
    _aliases: int = 0
    _instant: Instant = now
    _around: Callable[[Request], int] = _once

    def query(self) -> Parts:
        """The plan of the operation: one column with the response body. Raises NotPlannable."""
        root = cast(GraphQLObjectType, self.schema.query_type)
        selected = collect_fields(self.schema, self.fragments, self.variables, root, self.operation)
        data = {key: self.member(root, nodes, Table("")) for key, nodes in selected.grouped_field_set.items()}
        return self._parts(f"select concat('{{\"data\":', {json_object(data)}, '}}')")

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
            case Reason():
                reason = declared.read.told(self.permissions)
                return json_text(reason.value if self.walked else reason.name) if reason else "'null'"
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
                    self._instant = past(graphql_field, nodes[0], view_of(row), self.timeline)
                    if refusal := self._refused(view_of(row)):
                        return refusal
                    return self._connection(parent, graphql_field, nodes, read, Table(""))
                case One():
                    if not is_abstract_type(get_named_type(graphql_field.type)):
                        view = view_of(object_of(graphql_field))
                        self._instant = past(graphql_field, nodes[0], view, self.timeline)
                        if refusal := self._refused(view):
                            return refusal
                    return self._identified(graphql_field, nodes)
            return self._listed(graphql_field, nodes)
        finally:
            self._instant = before

    def _refused(self, view: View) -> str:
        """Of a root field: what refuses it to a viewer without the view's permission; else nothing."""
        permission = view.permission
        if permission is None or permission in self.permissions:
            return ""

        def refuse(_: Request) -> str:
            raise refused("FORBIDDEN", f"this asks for the permission {permission}", permission=permission)

        return self._slot(refuse)

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
        tables = self._tables()
        value = self._slot(lambda r: f"({expression(sql, r, alias, tables(r))})")
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
        listed = f"concat('[', string_agg({element}, ',' order by {alias}.ordinality), ']')"
        text = f"(select {listed} from {elements})"
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
        """The row of the argument `id`; of an abstract type's many tables, only the one of its prefix is
        asked.
        """

        arguments = arguments_of(graphql_field, nodes[0])

        def identity(request: Request) -> tuple[str, UUID | None]:
            return ids.parsed(arguments(request)["id"])

        key = self._slot(lambda r: r.once(("key", id(nodes[0].node)), lambda: r.bind(identity(r)[1], "uuid")))
        rows = self._branches(graphql_field.type, lambda row: self._one(row, nodes, None, "id", key))
        return self._slot(lambda r: filled(rows.get(identity(r)[0], ["'null'"]), r))

    def _listed(self, graphql_field: GraphQLField, nodes: FieldDetailsList) -> str:
        alias, arguments = self._next_alias(), arguments_of(graphql_field, nodes[0])

        def identities(request: Request) -> list[tuple[str, UUID | None]]:
            given = arguments(request)["ids"]
            if len(given) > MAX_IDS:
                raise refused("LIMIT_EXCEEDED", f"more than {MAX_IDS} ids")
            return [ids.parsed(text) for text in given]

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
        """The row whose `key_column` is `key`, or 'null'; `kind` is the SQL of what tells its type, if
        several are.
        """
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
        arguments = arguments_of(graphql_field, nodes[0])
        pager = Pager(arguments, origin(row), view, alias, name, read.choices, self._around, self._tables())
        paged = pager.page
        matching = self._slot(lambda r: paged(r).matching)
        within = f"{self._rows(view, alias)} and {_joined(read, source, alias)}{matching}"
        selected = self._selection(type_, nodes)
        names = {details[0].node.name.value for details in selected.values()}
        one_more, size = "pageInfo" in names, self._slot(lambda r: paged(r).size)
        kept = f' filter (where {alias}."#" <= {size})' if one_more else ""
        compiled = _Compiled(row, alias, paged, within, kept)
        with self._repeated(pager.rows):
            value = self._parts_of(compiled, type_, nodes)
        if names <= {"totalCount", "__typename"}:  # the arguments are judged all the same
            return f"{value}{self._slot(lambda r: paged(r).size and '')}"
        beyond, order = self._slot(lambda r: paged(r).beyond), self._slot(lambda r: paged(r).order)
        rows = f"select * from {within}{beyond} order by {order} limit {size}{' + 1' if one_more else ''}"
        numbers = ', row_number() over () as "#", count(*) over () as "##"' if one_more else ""
        outer = self._slot(lambda r: paged(r).outer_order)
        numbered = f"select *{numbers} from ({rows}) {alias}{outer}"
        return f"(select {value} from ({numbered}) {alias} having true)"  # always one row

    def _parts_of(self, compiled: "_Compiled", above: GraphQLObjectType, nodes: FieldDetailsList) -> str:
        """The JSON object of a connection, an edge or a PageInfo."""
        selected = self._selection(above, nodes)
        return json_object({key: self._part(compiled, above, found) for key, found in selected.items()})

    def _part(self, compiled: "_Compiled", above: GraphQLObjectType, nodes: FieldDetailsList) -> str:
        row, alias, paged = compiled.row, compiled.alias, compiled.paged
        match name := nodes[0].node.name.value:
            case "__typename":
                return json_text(above.name)
            case "totalCount":
                return f"(select count(*) from {compiled.within})"
            case "pageInfo":
                return self._parts_of(compiled, object_of(above.fields[name]), nodes)
            case "edges":
                edge = self._parts_of(compiled, object_of(above.fields[name]), nodes)
                return f"concat('[', string_agg({edge}, ','){compiled.kept}, ']')"
            case "nodes":
                found = self._object(row, nodes, Table(alias))
                return f"concat('[', string_agg({found}, ','){compiled.kept}, ']')"
            case "node":
                return self._object(row, nodes, Table(alias))
            case "cursor":
                return self._slot(lambda r: paged(r).cursor)
        return self._slot(lambda r: paged(r).info(name))

    def _rows(self, view: View, alias: str) -> str:
        """`table alias where …`: the rows that the viewer may see, now or at the root field's instant."""
        table, scope = view.table, "true"
        if view.permission and view.permission not in self.permissions:
            return f"{table} {alias} where false"
        if view.scope:
            scope = f"{alias}.{view.scope} = any({self._slot(lambda r: r.viewers(view.units))})"
            scope = f"({alias}.{view.scope} is null or {scope})" if view.scope_nullable else scope
        if view.has_past and self._instant is not now:
            tables = self._tables()
            table = self._slot(lambda r: tables(r)[view.table])
        if view.kinds:
            column, asked = view.kinds
            hidden = sorted(kind for kind, permission in asked.items() if permission not in self.permissions)
            scope += f" and {alias}.{column} <> all ('{{{','.join(hidden)}}}')" if hidden else ""
        return f"{table} {alias} where {scope}"

    def _tables(self) -> Callable[[Request], Tables]:
        """The tables as of the root field's instant."""
        instant, found = self._instant, pasts(self.schema)
        return lambda request: Tables(found, instant(request))

    def _row_types(self, type_: Any) -> list[GraphQLObjectType]:
        named: Any = get_named_type(type_)
        return list(self.schema.get_possible_types(named)) if is_abstract_type(named) else [named]

    def _selection(self, type_: GraphQLObjectType, nodes: FieldDetailsList) -> Mapping[str, FieldDetailsList]:
        found = collect_subfields(self.schema, self.fragments, self.variables, self.operation, type_, nodes)
        return found.grouped_field_set

    @contextmanager
    def _repeated(self, rows: Callable[[Request], int]) -> Iterator[None]:
        before, self._around = self._around, rows
        try:
            yield
        finally:
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


def _joined(read: Many, source: Source, alias: str) -> str:
    if read.is_root:
        return "true"
    if read.array is None:
        return f"{alias}.{read.by} = {source.column(read.key, 'uuid' if read.key == 'id' else 'text')}"
    return f"{alias}.{read.array} @> array[{source.column(read.key, 'text')}]::{read.array_type}"


def _bound(key: UUID) -> Slot:
    return lambda request: request.bind(key, "uuid")
