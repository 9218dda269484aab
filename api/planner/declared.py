"""What the types of a built schema were declared as."""

from functools import lru_cache
from typing import Any, cast

from graphql import GraphQLField, GraphQLNamedType, GraphQLObjectType, get_named_type

from api.planner.views import ReadField, View


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
