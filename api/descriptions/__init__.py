"""What each type, field, argument, input and value means, where the code beside it does not say so.

Four sources, the first that knows wins: the code, the section of the type in a .toml file of this folder, the
sections of everywhere.toml by the mere name, and the rules below for what the planner makes of a view. What
asks for a permission says so.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
)

from api.messages import MESSAGES
from api.planner.declared import read_fields
from api.refusals import REFUSALS
from application.access import MOVES_HOLDINGS, OPERATIONS

FOLDER = Path(__file__).parent
MADE = re.compile(r"(.+)(Connection|Edge|Filter|Order|Compare|Payload)")
TYPES = {
    "Connection": "A page of {0}, and how many there are.",
    "Edge": "An entry of a page, with its own cursor.",
    "Filter": "Which of the things: all that is given must hold.",
    "Order": "What rows are sorted by.",
    "Compare": "Comparisons of one value: all that are given must hold.",
    "Payload": "What the command did, or why it did nothing.",
}
PARTS = {
    "edges": "The entries of this page with their cursors, for who pages by cursor.",
    "nodes": "The entries of this page.",
    "pageInfo": "Where the page begins and ends, and whether there is more.",
    "totalCount": "How many there are on all pages together; counted only when it is asked for.",
    "cursor": "Give it as `after` to go on behind this entry, as `before` to come back.",
    "node": "The entry itself.",
    "and": "All of these must hold.",
    "or": "At least one of these must hold.",
    "not": "This must not hold.",
    "eq": "Equal to this.",
    "in": "One of these, at most 100.",
    "gt": "Greater, or later, than this.",
    "gte": "This, or greater, or later.",
    "lt": "Less, or earlier, than this.",
    "lte": "This, or less, or earlier.",
    "contains": "This occurs in it, whatever the case of letters.",
    "isNull": "true: it has no value. false: it has one.",
    "has": "This is one of its members.",
    "hasSome": "At least one of these is among its members; at most 100.",
    "within": "This node of the tree, or one below it.",
}
VIEWS = {"WorkOrder"}
"""Named like something that is made of a view, and is one itself."""


class Words:
    """What the files say; `used` tells which of it was needed."""

    def __init__(self) -> None:
        files = [tomllib.loads(path.read_text()) for path in sorted(FOLDER.glob("*.toml"))]
        self._sections: dict[str, Mapping[str, str]] = {}
        for file in files:
            assert not file.keys() & self._sections.keys(), "a type's words stand in one place"
            self._sections |= file
        self.used: set[tuple[str, str]] = set()

    @property
    def known(self) -> set[tuple[str, str]]:
        return {(section, name) for section, words in self._sections.items() for name in words}

    def find(self, name: str, *sections: str) -> str | None:
        for section in sections:
            if name in self._sections.get(section, {}):
                self.used.add((section, name))
                return self._sections[section][name]
        return None


def describe(schema: GraphQLSchema) -> Words:
    """Give a description to everything in the schema that has none and is known."""
    words = Words()
    shown = [type_ for name, type_ in schema.type_map.items() if not name.startswith("__")]
    for type_ in shown:
        type_.description = type_.description or _of_type(words, type_)
    for type_ in shown:  # objects first: filters tell of their fields
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in type_.fields.items():
                field.description = field.description or _of_field(words, type_, name, field)
                for argument, described in field.args.items():
                    described.description = described.description or _of_argument(
                        words, f"{type_.name}.{name}", argument, described
                    )
    for type_ in shown:
        if isinstance(type_, GraphQLInputObjectType):
            for name, member in type_.fields.items():
                member.description = member.description or _of_input(words, schema, type_, name)
        if isinstance(type_, GraphQLEnumType):
            for name, value in type_.values.items():
                value.description = value.description or _of_value(words, type_, name)
    _tell_permissions(schema)
    return words


def _tell_permissions(schema: GraphQLSchema) -> None:
    """What a mutation asks for and needs, and what a field is null without; views say themselves what they
    are read with.
    """
    assert schema.mutation_type is not None
    for name, field in schema.mutation_type.fields.items():
        key = " Needs an idempotency key." if OPERATIONS[name] in MOVES_HOLDINGS else ""
        field.description = f"{field.description} Asks for {OPERATIONS[name]}.{key}"
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType):
            for name, declared in read_fields(type_).items():
                if declared.permission:
                    field = type_.fields[name]
                    field.description = (
                        f"{field.description or ''} Null without {declared.permission}.".strip()
                    )


def _of_type(words: Words, type_: GraphQLNamedType) -> str | None:
    if made := _made(type_):
        return TYPES[made[2]].format(made[1])
    return words.find(type_.name, "_types")


def _of_field(words: Words, owner: GraphQLNamedType, name: str, field: GraphQLField) -> str | None:
    made = _made(owner)
    if made and made[2] in ("Connection", "Edge"):
        return PARTS[name]
    if made and made[2] == "Payload":
        return f"{get_named_type(field.type).description} As it stands now; null when nothing was done."
    if name.endswith("Masked") and get_named_type(field.type).name == "MaskReason":
        return f"Why `{name.removesuffix('Masked')}` is null; null itself where the viewer sees it."
    return words.find(name, owner.name, "_fields")


def _of_argument(words: Words, field: str, name: str, argument: GraphQLArgument) -> str | None:
    if name == "input":
        return get_named_type(argument.type).description
    return words.find(name, field, "_arguments")


def _of_input(words: Words, schema: GraphQLSchema, owner: GraphQLInputObjectType, name: str) -> str | None:
    made = _made(owner)
    if made and made[2] == "Compare":
        return PARTS[name]
    if made and made[2] == "Filter":
        if name in ("and", "or", "not"):
            return PARTS[name]
        of = schema.type_map[made[1]]
        assert isinstance(of, GraphQLObjectType)
        compared: GraphQLField = of.fields[name]
        return compared.description
    return words.find(name, owner.name, "_inputs")


def _of_value(words: Words, owner: GraphQLEnumType, name: str) -> str | None:
    if owner.name == "RefusalCode":
        return " ".join(reversed(MESSAGES[_codes()[name]]))
    made = _made(owner)
    if made and made[2] == "Order":
        key, way = name.rsplit("_", 1)
        return f"By {key.lower().replace('_', ' ')}: {'ascending' if way == 'ASC' else 'descending'}."
    return words.find(name, owner.name, "_values")


def _made(type_: GraphQLNamedType) -> re.Match[str] | None:
    """Of what the planner makes: the name of the view, and what is made of it."""
    return None if type_.name in VIEWS else MADE.fullmatch(type_.name)


@cache
def _codes() -> Mapping[str, str]:
    return {member.name: member.value for refusal in REFUSALS for member in refusal}
