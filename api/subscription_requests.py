"""What a subscription asks for, and who may share its execution with whom."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import strawberry
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    NamedTypeNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    VariableDefinitionNode,
    Visitor,
    visit,
)
from graphql.execution.collect_fields import collect_fields
from graphql.execution.values import VariableValues, get_argument_values

from api.context import Context
from api.planner.declared import read_fields
from api.planner.reads import Document, Reads
from api.planner.views import Computed, Many, Read
from application.shared.records import Position

ANYBODY = "*"
"""Stands for the user where an execution is shared by several: no row is his."""


class Refused(Exception):
    """The subscription ends with these errors."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Asked:
    """One subscription of one viewer, sound; `after` is where he stands, None for from now on.

    Whose `key` is the same gets the same results: document, operation, variables, scope, rights, language,
    and the user where the results hang on him. `shared` is the context to execute it in for all of them.
    """

    document: DocumentNode
    name: str | None
    variables: Mapping[str, Any]
    after: Position | None
    key: Hashable
    context: Context
    shared: Context


class SubscriptionRequests:
    """Reads bodies of subscriptions. `personal` names root fields whose results hang on who asks."""

    def __init__(self, schema: strawberry.Schema, reads: Reads, personal: frozenset[str]) -> None:
        self._schema, self._reads = schema._schema, reads
        self._personal = personal | personal_fields(self._schema)

    def asked(self, body: Mapping[str, Any], context: Context, seen: Position | None = None) -> Asked:
        """The subscription of a body whose document is sound; `seen` goes before its argument `after`.

        Raises Refused for variables that do not fit.
        """
        source, name = body["query"], body.get("operationName")
        document = self._reads.document(source)
        operation, given = document.operations[name], body.get("variables") or {}
        variables = self._reads.variables(operation, given)
        if isinstance(variables, list):
            raise Refused([_coded(error) for error in variables])
        assert document.parsed is not None
        names = _Names()
        visit(document.parsed, names)
        shared = context if names.fields & self._personal else _of_anybody(context)
        variant = {name: value for name, value in given.items() if name not in names.positions}
        return Asked(
            document=document.parsed,
            name=name,
            variables=given,
            after=seen or self._after(document, operation, variables),
            key=(
                source,
                name,
                orjson.dumps(variant, option=orjson.OPT_SORT_KEYS),
                shared.viewer,
                context.language,
            ),
            context=context,
            shared=shared,
        )

    def _after(
        self, document: Document, operation: OperationDefinitionNode, variables: VariableValues
    ) -> Position | None:
        """The argument `after` of the root field."""
        root = self._schema.subscription_type
        assert root is not None
        found = collect_fields(self._schema, dict(document.fragments), variables, root, operation)
        for nodes in found.grouped_field_set.values():
            details, field_ = nodes[0], root.fields[nodes[0].node.name.value]
            given = get_argument_values(field_, details.node, variables, details.fragment_variable_values)
            return Position(*given["after"]) if given.get("after") else None
        return None


def _of_anybody(context: Context) -> Context:
    principal, viewer = replace(context.principal, user=ANYBODY), replace(context.viewer, user=ANYBODY)
    return replace(context, principal=principal, viewer=viewer)


class _Names(Visitor):
    """The names of all fields, and of the variables that hold positions: those say where to begin."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: set[str] = set()
        self.positions: set[str] = set()

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self.fields.add(node.name.value)

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: object) -> None:
        type_ = node.type.type if isinstance(node.type, NonNullTypeNode) else node.type
        if isinstance(type_, NamedTypeNode) and type_.name.value == "Position":
            self.positions.add(node.variable.name.value)


def personal_fields(schema: GraphQLSchema) -> frozenset[str]:
    """The names of read fields whose SQL asks who the viewer is."""
    types = [type_ for type_ in schema.type_map.values() if isinstance(type_, GraphQLObjectType)]
    return frozenset(
        name
        for type_ in types
        for name, declared in read_fields(type_).items()
        if _is_personal(declared.read)
    )


def _is_personal(read: Read) -> bool:
    match read:
        case Computed(sql):
            return "{viewer.user}" in sql
        case Many(choices=choices):
            conditions = [sql for choice in choices.values() for sql in choice.conditions.values()]
            return any("{viewer.user}" in sql for sql in conditions)
    return False


def _coded(error: GraphQLError) -> GraphQLError:
    error.extensions = {**(error.extensions or {}), "code": "BAD_INPUT"}
    return error
