"""What one document may ask for, found in one linear pass before any validation rule reads it.

Rules of a validator run side by side, and some of them are slower than linear, so this is no rule: it comes
first.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

from api.planner.requests import DEFAULT_PAGE_SIZE, ORDINARY_PAGE_SIZE, refused

MAX_SOURCE_CHARACTERS = 50_000
MAX_TOKENS = 4_000
MAX_FRAGMENTS = 100
MAX_DEPTH = 12
MAX_INTROSPECTION_DEPTH = 20  # the common introspection query follows nine `ofType`
MAX_ALIASES = 60
MAX_SELECTIONS = 2_000  # fields and spreads, with fragments written out
MAX_FIELDS = 50_000  # fields of the answer: selections times the sizes of the pages around them
MAX_DIRECTIVES = 60
MAX_ROOTS = 20
MAX_REPEATS = 200  # of one response key: the rule that merges fields compares them in pairs
MAX_VARIABLE_VALUES = 50_000  # of which it takes microseconds to judge each
MAX_VARIABLE_OBJECTS = 10_000  # and lists
MAX_VARIABLE_DEPTH = 50
LISTED = frozenset({"nodes", "edges", "events"})  # the rows of a page, in connections and of the log
LARGEST_LITERAL_PAGE_SIZE = 1_000  # more is refused as a page size, which says it better


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one selection set. `inside` counts the fields under a page's rows, once a row."""

    depth: int = 0
    introspection_depth: int = 0
    aliases: int = 0
    selections: int = 0
    roots: int = 0
    outside: int = 0
    inside: int = 0

    @property
    def fields(self) -> int:
        """The fields of the largest answer there may be."""
        return self.outside + self.inside

    def beside(self, other: "Cost") -> "Cost":
        return Cost(
            max(self.depth, other.depth),
            max(self.introspection_depth, other.introspection_depth),
            self.aliases + other.aliases,
            self.selections + other.selections,
            self.roots + other.roots,
            self.outside + other.outside,
            self.inside + other.inside,
        )


@dataclass(slots=True)
class _Walk:
    """Visits every selection of the document once; a fragment's cost is known before it is spread."""

    fragments: dict[str, Cost] = field(default_factory=dict)
    directives: int = 0
    keys: Counter[str] = field(default_factory=Counter)

    def operation(self, operation: OperationDefinitionNode) -> Cost:
        variables = operation.variable_definitions or ()
        self.directives += len(operation.directives or ()) + sum(len(v.directives or ()) for v in variables)
        return self.cost(operation.selection_set)

    def cost(self, selection_set: SelectionSetNode) -> Cost:
        total = Cost()
        for node in selection_set.selections:
            self.directives += len(node.directives or ())
            if isinstance(node, FieldNode):
                found = self._field(node)
            elif isinstance(node, FragmentSpreadNode):
                found = self.fragments.get(node.name.value, Cost()).beside(Cost(selections=1))
            else:
                found = self.cost(node.selection_set)  # type: ignore[attr-defined]
            total = total.beside(found)
        return total

    def _field(self, node: FieldNode) -> Cost:
        name = node.name.value
        self.keys[node.alias.value if node.alias else name] += 1
        below = self.cost(node.selection_set) if node.selection_set else Cost()
        fields = 1 + below.outside + _page_size(node) * below.inside
        looks_inward = name in ("__schema", "__type")
        rows, listed = _ids(node), name in LISTED
        return Cost(
            depth=1 if looks_inward else below.depth + 1,
            introspection_depth=below.depth + 1 if looks_inward else below.introspection_depth,
            aliases=below.aliases + bool(node.alias),
            selections=below.selections + 1,
            roots=1,
            outside=0 if listed and rows is None else fields * (1 if rows is None else rows),
            inside=fields if listed and rows is None else 0,
        )


def measured(document: DocumentNode) -> tuple[list[GraphQLError], Mapping[str | None, Cost]]:
    """One LIMIT_EXCEEDED for each limit that an operation of the document breaks, and what each operation
    costs, by its name. Linear in the document's length.
    """
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    if len(fragments) > MAX_FRAGMENTS:
        return [_exceeded("fragments", MAX_FRAGMENTS)], {}
    spreads = {name: set(_spreads(fragment.selection_set)) for name, fragment in fragments.items()}
    walk = _Walk()
    try:
        for name in TopologicalSorter(spreads).static_order():
            if name in fragments:
                walk.directives += len(fragments[name].directives or ())
                walk.fragments[name] = walk.cost(fragments[name].selection_set)
    except CycleError:
        return [refused("LIMIT_EXCEEDED", "a fragment spreads itself")], {}
    costs: dict[str | None, Cost] = {}
    errors: list[GraphQLError] = []
    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            cost = walk.operation(operation)
            costs[operation.name.value if operation.name else None] = cost
            errors += _exceeding(cost)
    for found, most, what in (
        (walk.directives, MAX_DIRECTIVES, "directives"),
        (max(walk.keys.values(), default=0), MAX_REPEATS, "repeats of one field"),
    ):
        if found > most:
            errors.append(_exceeded(what, most))
    return errors, costs


def variables_error(variables: Mapping[str, object]) -> GraphQLError | None:
    """LIMIT_EXCEEDED for more values, or deeper ones, than are worth being judged. Linear, and a fraction of
    what judging them takes.
    """
    values, objects, depth = 0, 0, 0
    level: list[Collection[object]] = [variables.values()]
    while level:
        values += sum(map(len, level))
        objects, depth = objects + len(level), depth + 1
        for found, most, what in (
            (values, MAX_VARIABLE_VALUES, "values"),
            (objects, MAX_VARIABLE_OBJECTS, "objects and lists"),
            (depth, MAX_VARIABLE_DEPTH, "depth"),
        ):
            if found > most:
                return _exceeded(f"{what} in the variables", most)
        level = [
            value.values() if isinstance(value, dict) else value
            for members in level
            for value in members
            if isinstance(value, dict | list)
        ]
    return None


def _exceeding(cost: Cost) -> Iterator[GraphQLError]:
    for found, most, what in (
        (cost.depth, MAX_DEPTH, "depth"),
        (cost.introspection_depth, MAX_INTROSPECTION_DEPTH, "introspection depth"),
        (cost.aliases, MAX_ALIASES, "aliases"),
        (cost.selections, MAX_SELECTIONS, "selections"),
        (cost.fields, MAX_FIELDS, "fields times page sizes"),
        (cost.roots, MAX_ROOTS, "root fields"),
    ):
        if found > most:
            yield _exceeded(what, most)


def _exceeded(what: str, most: int) -> GraphQLError:
    return refused("LIMIT_EXCEEDED", f"more than {most} {what}")


def _spreads(selection_set: SelectionSetNode) -> Iterator[str]:
    for node in selection_set.selections:
        if isinstance(node, FragmentSpreadNode):
            yield node.name.value
        elif node.selection_set:  # type: ignore[attr-defined]
            yield from _spreads(node.selection_set)  # type: ignore[attr-defined]


def _page_size(node: FieldNode) -> int:
    """A literal `first` or `last`; a variable counts as the ordinary viewer's largest page."""
    sizes = []
    for argument in node.arguments or ():
        if argument.name.value in ("first", "last"):
            if isinstance(argument.value, VariableNode):
                sizes.append(ORDINARY_PAGE_SIZE)
            elif isinstance(argument.value, IntValueNode):
                digits = argument.value.value
                small = len(digits) < 9
                sizes.append(
                    min(abs(int(digits)), LARGEST_LITERAL_PAGE_SIZE) if small else LARGEST_LITERAL_PAGE_SIZE
                )
    return max(sizes, default=DEFAULT_PAGE_SIZE)


def _ids(node: FieldNode) -> int | None:
    """The number of rows of `nodes(ids:)`; None for another field."""
    for argument in node.arguments or ():
        if argument.name.value == "ids":
            return (
                len(argument.value.values)
                if isinstance(argument.value, ListValueNode)
                else ORDINARY_PAGE_SIZE
            )
    return None
