"""What the types of a built schema were declared as."""

from functools import lru_cache
from typing import Any, cast

from graphql import GraphQLField, GraphQLNamedType, GraphQLObjectType, GraphQLSchema, get_named_type

from api.planner.views import ReadField, View


@lru_cache(maxsize=10_000)
def read_fields(type_: GraphQLObjectType) -> dict[str, ReadField]:
    declared = {name: f.extensions.get("strawberry-definition") for name, f in type_.fields.items()}
    return {name: f for name, f in declared.items() if isinstance(f, ReadField)}


def permissions_of(schema: GraphQLSchema) -> frozenset[str]:
    """All permissions that views and read fields ask for."""
    types = [type_ for type_ in schema.type_map.values() if isinstance(type_, GraphQLObjectType)]
    asked = {declared.permission for type_ in types for declared in read_fields(type_).values()}
    for type_ in types:
        if type_.extensions and hasattr(origin(type_), "__view__"):
            view = view_of(type_)
            asked |= {view.permission, *(view.kinds[1].values() if view.kinds else ())}
    return frozenset(permission for permission in asked if permission)


def object_of(graphql_field: GraphQLField) -> GraphQLObjectType:
    return cast(GraphQLObjectType, get_named_type(graphql_field.type))


def origin(type_: GraphQLNamedType) -> Any:
    """The strawberry class of a GraphQL type."""
    return type_.extensions["strawberry-definition"].origin


def view_of(row: GraphQLObjectType) -> View:
    return origin(row).__view__  # type: ignore[no-any-return]
