"""Serves planned queries ahead of strawberry's pipeline, and plans what the pipeline finds below its
resolvers.

An HTTP view gives every decoded body to `Reads.answer` first and sends what it returns; on None it lets
strawberry execute, with `reads` and `viewer` in the context. Both ways share documents and limits through
`SharedDocuments`:

    config = StrawberryConfig(scalar_map=SCALARS)
    schema = strawberry.Schema(Query, Mutation, extensions=[SharedDocuments], config=config)
    pool = AsyncConnectionPool(url, configure=configure, open=False)
    reads = Reads(schema, pool, timeline="read.timeline")
    body = await reads.answer(request_body, viewer)
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import orjson
import psycopg
import strawberry
from graphql import (
    DirectiveNode,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    parse,
    specified_rules,
    validate,
    visit,
)
from graphql.execution.collect_fields import FieldDetails, FragmentDetails
from graphql.execution.values import VariableValues, get_variable_values
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.types.string import StrDumper
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from strawberry.extensions import SchemaExtension

from api.planner.checks import declaration_faults, raise_any
from api.planner.declared import permissions_of
from api.planner.idempotency import OnMutationsOnly
from api.planner.instants import Timeline
from api.planner.limits import MAX_SOURCE_CHARACTERS, MAX_TOKENS, Cost, measured, variables_error
from api.planner.plans import NotPlannable, Planner
from api.planner.requests import Parts, Request, TextArray, Viewer, refused, statement
from api.planner.rows import walkable
from api.planner.views import Payload, ReadField, of_context

DATABASE_FAULTS = (psycopg.Error, PoolTimeout)
"""What reading may raise when the database fails it."""

V = TypeVar("V")
MAX_DOCUMENT_CHARACTERS = 500_000  # kept; a parsed document is up to 300 times as large in bytes
MAX_PLAN_CHARACTERS = 20_000_000
MAX_VARIABLE_ERRORS = 10
STATEMENT_TIMEOUT_S = 15.0
RULES = (*specified_rules, OnMutationsOnly)


def is_away(error: BaseException) -> bool:
    """Whether the database can't be reached or is too slow now, so that trying again may help."""
    return isinstance(error, psycopg.OperationalError | PoolTimeout)


def is_too_slow(error: BaseException) -> bool:
    """Whether the statement was stopped because it took longer than STATEMENT_TIMEOUT_S."""
    return isinstance(error, psycopg.errors.QueryCanceled)


class Kept(Generic[V]):
    """The values used last, up to a total weight."""

    def __init__(self, most: int) -> None:
        self.most, self.weight = most, 0
        self.values: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], tuple[V, int]]) -> V:
        """The value of the key; `make` gives a missing one with its weight."""
        if key in self.values:
            self.values.move_to_end(key)
        else:
            self.values[key] = made = make()
            self.weight += made[1]
        value = self.values[key][0]
        while self.weight > self.most:
            self.weight -= self.values.popitem(last=False)[1][1]
        return value

    def kept(self, key: Hashable) -> V | None:
        """The value of the key, if there is one."""
        return self.values[key][0] if key in self.values else None

    def drop(self, key: Hashable) -> None:
        if key in self.values:
            self.weight -= self.values.pop(key)[1]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document, or why it is refused. `conditions`: the variables in @skip and @include; `costs`:
    what each operation may cost, by its name.
    """

    errors: tuple[GraphQLError, ...]
    parsed: DocumentNode | None = None
    operations: Mapping[str | None, OperationDefinitionNode] = field(default_factory=dict)
    fragments: Mapping[str, FragmentDetails] = field(default_factory=dict)
    conditions: frozenset[str] = frozenset()
    costs: Mapping[str | None, Cost] = field(default_factory=dict)

    def cost(self, name: str | None) -> Cost | None:
        """Of the operation that `name` chooses; None where there is none."""
        operation = self.operations.get(name)
        return self.costs.get(operation.name.value if operation.name else None) if operation else None


class Prepared(NamedTuple):
    """A statement that gives one text: the body of a response."""

    sql: str
    parameters: Sequence[object]


class Reads:
    """The read side of one schema.

    `timeline` is how the `time` of an `asOf` is found: a Timeline, or its table. Raises ViewMismatch where
    declarations contradict each other, and TypeError for a schema without SharedDocuments.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        pool: AsyncConnectionPool[Any],
        *,
        timeline: Timeline | str | None = None,
    ) -> None:
        if SharedDocuments not in schema.extensions:
            raise TypeError("without SharedDocuments the limits would hold for planned queries only")
        raise_any(declaration_faults(schema))
        for type_ in schema._schema.type_map.values():
            # strawberry does not tell graphql-core of @oneOf, so that validation would miss it
            if isinstance(type_, GraphQLInputObjectType):
                type_.is_one_of = type_.extensions["strawberry-definition"].is_one_of
        self.schema, self.pool = schema._schema, pool
        self.timeline = Timeline(timeline) if isinstance(timeline, str) else timeline
        self._documents: Kept[Document] = Kept(MAX_DOCUMENT_CHARACTERS)
        self._plans: Kept[Parts | None] = Kept(MAX_PLAN_CHARACTERS)
        # Of the permissions, plans hang on those that fields ask for: other differences share plans.
        self._asked_for = permissions_of(self.schema)

    async def answer(self, body: Mapping[str, Any], viewer: Viewer) -> bytes | None:
        """The response body to a decoded request body, status 200; None where `prepared` is None.

        Errors of the database are raised as psycopg raises them.
        """
        prepared = self.prepared(body, viewer)
        return None if prepared is None else await self.one(*prepared)

    def prepared(self, body: Mapping[str, Any], viewer: Viewer) -> Prepared | None:
        """What answers a decoded request body.

        None where strawberry has to answer: no query, not valid, refused, or with resolvers of its own.
        """
        try:
            return self.planned(body, viewer)
        except GraphQLError:
            return None  # strawberry's executor meets the same refusal and gives it its path

    def planned(self, body: Mapping[str, Any], viewer: Viewer) -> Prepared | None:
        """The same; raises GraphQLError with a code for what the planner refuses."""
        source, name, given = body.get("query"), body.get("operationName"), body.get("variables") or {}
        if not isinstance(source, str) or not isinstance(name, str | None) or not isinstance(given, dict):
            return None
        document = self.document(source)
        operation = document.operations.get(name)
        if document.errors or operation is None or operation.operation is not OperationType.QUERY:
            return None
        variables = self.variables(operation, given)
        if isinstance(variables, list):
            return None
        chosen = tuple(variables.coerced.get(name) for name in sorted(document.conditions))
        key = (source, name, viewer.permissions & self._asked_for, chosen)
        plan = self._plans.get(key, lambda: self._compiled(document, operation, variables, viewer))
        return None if plan is None else _prepared(plan, variables, viewer)

    def document(self, source: str) -> Document:
        return self._documents.get(source, lambda: (read_document(self.schema, source), len(source)))

    def variables(
        self, operation: OperationDefinitionNode, given: dict[str, Any]
    ) -> VariableValues | list[GraphQLError]:
        if (error := variables_error(given)) is not None:
            return [error]
        try:
            definitions = operation.variable_definitions or ()
            return get_variable_values(self.schema, definitions, given, MAX_VARIABLE_ERRORS)
        except Exception as error:  # a scalar's own parser may raise anything
            return [GraphQLError(str(error))]

    async def run(self, plan: Parts, variables: VariableValues, viewer: Viewer) -> bytes:
        """The one value of a plan. Raises GraphQLError with a code for what the planner refuses."""
        return await self.one(*_prepared(plan, variables, viewer))

    async def one(self, sql: str, parameters: Sequence[object]) -> bytes:
        """The one text that a statement gives: of a plan, or of a resolver's own."""
        async with self.pool.connection() as connection:
            row = await (await connection.execute(sql, parameters)).fetchone()
        return row[0]  # type: ignore[no-any-return]

    async def walk(self, declared: ReadField, source: Any, info: Any) -> Any:
        """A field that the stock executor met at a root or below a resolver's object, as rows to walk."""
        raw, viewer = info._raw_info, of_context(info.context, "viewer")
        fragments = {name: FragmentDetails(definition) for name, definition in raw.fragments.items()}
        variables = VariableValues({}, raw.variable_values)
        planner = Planner(
            self.schema, fragments, raw.operation, variables, viewer.permissions, self.timeline, walked=True
        )
        nodes = [FieldDetails(node, None) for node in raw.field_nodes]
        if isinstance(declared.read, Payload):
            key = getattr(source, declared.read.by)
            if key is None:
                return None
            plan = planner.payload_member(raw.parent_type.fields[raw.field_name], nodes, key)
        else:
            plan = planner.root_member(raw.parent_type, nodes)
        return walkable(info, orjson.loads(await self.run(plan, variables, viewer)))

    def _compiled(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        variables: VariableValues,
        viewer: Viewer,
    ) -> tuple[Parts | None, int]:
        planner = Planner(
            self.schema, dict(document.fragments), operation, variables, viewer.permissions, self.timeline
        )
        try:
            return planner.query(), planner.characters
        except NotPlannable:
            return None, 1


def read_document(schema: GraphQLSchema, source: str) -> Document:
    """Parse, judge the limits, then validate: some rules of validation are slower than linear."""
    if len(source) > MAX_SOURCE_CHARACTERS:
        return Document((refused("LIMIT_EXCEEDED", f"more than {MAX_SOURCE_CHARACTERS} characters"),))
    try:
        parsed = parse(source, max_tokens=MAX_TOKENS)
    except GraphQLSyntaxError as error:
        code = "LIMIT_EXCEEDED" if f"{MAX_TOKENS} tokens" in error.message else "BAD_INPUT"
        return Document((_coded(error, code),))
    errors, costs = measured(parsed)
    errors = errors or [_coded(error, "BAD_INPUT") for error in validate(schema, parsed, RULES)]
    if errors:
        return Document(tuple(errors), parsed)
    found = [d for d in parsed.definitions if isinstance(d, OperationDefinitionNode)]
    operations: dict[str | None, OperationDefinitionNode] = {d.name.value: d for d in found if d.name}
    if len(found) == 1:
        operations[None] = found[0]
    fragments = [d for d in parsed.definitions if isinstance(d, FragmentDefinitionNode)]
    conditions = _Conditions()
    visit(parsed, conditions)
    return Document(
        (),
        parsed,
        operations,
        {fragment.name.value: FragmentDetails(fragment) for fragment in fragments},
        frozenset(conditions.names),
        costs,
    )


def _prepared(plan: Parts, variables: VariableValues, viewer: Viewer) -> Prepared:
    request = Request(variables, viewer)
    return Prepared(statement(plan, request), request.parameters)


class SharedDocuments(SchemaExtension):
    """Gives strawberry's pipeline the parsed, limited and validated document of `Reads`; malformed input has
    a code.
    """

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        document = of_context(context.context, "reads").document(context.query)
        if document.parsed is None:
            raise document.errors[0].with_traceback(None)
        context.graphql_document = document.parsed
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        reads = of_context(context.context, "reads")
        document = reads.document(context.query)
        errors = list(document.errors)
        operation = document.operations.get(context.operation_name)
        if not errors and operation is not None:
            found = reads.variables(operation, context.variables or {})
            errors = [_coded(error, "BAD_INPUT") for error in found] if isinstance(found, list) else []
        context.pre_execution_errors = errors
        yield


class _Conditions(Visitor):
    """Collects the variables inside @skip and @include: the plan hangs on their values."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_directive(self, node: DirectiveNode, *_: object) -> None:
        if node.name.value in ("skip", "include"):
            values = (argument.value for argument in node.arguments or ())
            self.names |= {value.name.value for value in values if isinstance(value, VariableNode)}


def _coded(error: GraphQLError, code: str) -> GraphQLError:
    error.extensions = {"code": code, **(error.extensions or {})}
    return error


async def configure(connection: AsyncConnection[Any]) -> None:
    """For the pool of read connections: `$1` parameters, text as bytes, UTC, read-only, a time limit."""

    class Bytes(Loader):
        def load(self, data: Buffer) -> bytes:
            return bytes(data)

    class TextArrayDumper(Dumper):
        oid = 1009  # text[]

        def dump(self, obj: TextArray) -> bytes:
            return bytes(obj)

    await connection.set_autocommit(True)
    connection.cursor_factory = AsyncRawCursor
    connection.adapters.register_loader("text", Bytes)
    connection.adapters.register_dumper(TextArray, TextArrayDumper)
    connection.adapters.register_dumper(str, StrDumper)  # as text: an unused parameter needs a type too
    await connection.execute("set timezone = 'UTC'")
    await connection.execute("set datestyle = 'ISO'")
    await connection.execute("set default_transaction_read_only = on")
    await connection.execute(f"set statement_timeout = '{STATEMENT_TIMEOUT_S}s'")
