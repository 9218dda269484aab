"""The directive by which a document gives a mutation its key: `@idempotent(key:)`."""

from typing import Any

from graphql import (
    DirectiveLocation,
    DirectiveNode,
    FieldNode,
    GraphQLArgument,
    GraphQLDirective,
    GraphQLError,
    GraphQLNonNull,
    GraphQLString,
    ValidationRule,
)
from graphql.execution.values import VariableValues, get_directive_values

IDEMPOTENT = GraphQLDirective(
    "idempotent",
    [DirectiveLocation.FIELD],
    {
        "key": GraphQLArgument(
            GraphQLNonNull(GraphQLString),
            description="The caller's own: 1 to 255 printable ASCII characters.",
        )
    },
    description="Of a mutation: the same key and input get the first answer again, for ever; the same key"
    " with another input is refused. It says what the header Idempotency-Key says, for one of several"
    " mutations.",
)


class OnMutationsOnly(ValidationRule):
    """Elsewhere nothing would come of it, and the client would believe himself safe."""

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        mutation = self.context.schema.mutation_type
        if node.name.value == IDEMPOTENT.name and self.context.get_parent_type() is not mutation:
            self.report_error(GraphQLError("Directive '@idempotent' stands on mutations only.", node))


def key_given(node: FieldNode, variables: dict[str, Any]) -> str | None:
    """The key in the directive of a field, None without one. `variables` are coerced."""
    found = get_directive_values(IDEMPOTENT, node, VariableValues({}, variables))
    return None if found is None else str(found["key"])
