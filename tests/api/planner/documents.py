"""Seeded random documents over the sample schema: fragments, directives, variables, filters, orders, the
past.
"""

import re
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    parse,
)
from strawberry.utils.str_converters import to_snake_case

from api.planner.limits import measured
from tests.api.planner.sample import HOSTILE, Rows

PREFIXES = {"activities": "act", "work_orders": "wo", "approvals": "apr", "cost_types": "ct"}
NEEDLES = {"number": ["wo-00"], "code": ["a0", "c"], "unit": ["ORT"], "level": ["SEA"], "actor": ["LI"]}
TEXTS = ["%", "_", "\\", "\\%", "中", "🎉", "", "QUOTE", "north", *HOSTILE[:6]]


@dataclass
class Document:
    """`probes` are documents that yield the cursors which `text` needs as variables of the same names."""

    text: str
    variables: dict[str, Any]
    conditions: list[str]
    probes: dict[str, str] = field(default_factory=dict)


def write(rng: Random, schema: GraphQLSchema, rows: Rows) -> Document:
    """A document within the limits."""
    while True:
        document = Writer(rng, schema, rows).document()
        if not measured(parse(document.text))[0]:
            return document


class Writer:
    """Writes one document."""

    def __init__(self, rng: Random, schema: GraphQLSchema, rows: Rows) -> None:
        self.rng, self.schema, self.rows = rng, schema, rows
        self.aliases = 0
        self.variables: dict[str, tuple[str, Any]] = {}
        self.conditions: list[str] = []
        self.fragments: list[str] = []
        self.probes: dict[str, str] = {}

    def document(self) -> Document:
        if self._chance(0.5):
            return self._document("query", [self._by_one_comparison()])
        is_query = not self._chance(0.05)
        root = self.schema.query_type if is_query else self.schema.mutation_type
        assert root is not None
        roots = [self._field(root, name, 3, True) for name in (self._roots() if is_query else ["touch"])]
        return self._document("query" if is_query else "mutation", roots)

    def _document(self, operation: str, roots: list[str]) -> Document:
        declared = ", ".join(f"${name}: {type_}" for name, (type_, _) in self.variables.items())
        head = f"Q({declared})" if declared else "Q"
        text = " ".join([operation, head, "{", *roots, "}", *self.fragments])
        values = {name: value for name, (_, value) in self.variables.items() if value is not None}
        return Document(text, values, self.conditions, self.probes)

    def _roots(self) -> list[str]:
        names = ["activities"] * 4 + ["workOrders"] * 2 + ["approvalInbox"] * 2
        names += ["activity", "activity", "workOrder", "costTypes", "node", "nodes", "serverName"]
        if self._chance(0.1):  # of the past, then of the present
            return [self.rng.choice(["activity", "activities"]), "nodes"]
        return self.rng.sample(names, self.rng.choice([1, 1, 2, 3]))

    def _by_one_comparison(self) -> str:
        """A list by one of all operators, which the other documents seldom reach undisturbed."""
        assert self.schema.query_type is not None
        name = self.rng.choice(["activities", "workOrders"])
        filters = get_named_type(self.schema.query_type.fields[name].args["filter"].type)
        assert isinstance(filters, GraphQLInputObjectType)
        compared = [each for each in filters.fields if each not in ("and", "or", "not")]
        by = self.rng.choice(compared)
        comparison = self._compare(by, get_named_type(filters.fields[by].type))
        filtered = f"{{{by}: {comparison}}}"
        if self._chance(0.3):
            filtered = f"{{not: {filtered}}}"
        return f"a: {name}(filter: {filtered}, first: 50) {{ totalCount nodes {{ id }} }}"

    def _chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def _variable(self, type_: str, value: Any) -> str:
        name = f"v{len(self.variables)}"
        self.variables[name] = (type_, value)
        return f"${name}"

    def _condition(self) -> str:
        if not self._chance(0.25):
            return ""
        name = f"c{len(self.conditions)}"
        if len(self.conditions) < 4:
            self.conditions.append(name)
            self.variables[name] = ("Boolean!", True)
        else:
            name = self.rng.choice(self.conditions)
        return f" @{self.rng.choice(['include', 'skip'])}(if: ${name})"

    # --- selections ---------------------------------------------------------

    def _selection(self, type_: Any, depth: int, alias_all: bool) -> str:
        if isinstance(type_, GraphQLInterfaceType | GraphQLUnionType):
            return self._abstract(type_, depth)
        names = [n for n, f in type_.fields.items() if depth > 0 or is_leaf_type(get_named_type(f.type))]
        names = [name for name in names if name != "label" or self._chance(0.1)]
        chosen = self.rng.sample(names, min(len(names), self.rng.randrange(1, 6)))
        parts = [self._field(type_, name, depth, alias_all) for name in chosen]
        if self._chance(0.15):
            parts.append("__typename")
        if not self._chance(0.3):
            return "{ " + " ".join(parts) + " }"
        inner = self._field(type_, self.rng.choice(names), depth, True)
        if self._chance(0.5):
            return "{ " + " ".join(parts) + f" ... on {type_.name}{self._condition()} {{ {inner} }} }}"
        name = f"F{len(self.fragments)}"
        self.fragments.append(f"fragment {name} on {type_.name} {{ {inner} }}")
        return "{ " + " ".join(parts) + f" ...{name}{self._condition()} }}"

    def _abstract(self, type_: Any, depth: int) -> str:
        parts = ["__typename"]
        for row in self.rng.sample(list(self.schema.get_possible_types(type_)), 2):
            parts.append(f"... on {row.name} {self._selection(row, depth - 1, True)}")
        if isinstance(type_, GraphQLInterfaceType) and self._chance(0.7):
            parts.append("id")
        return "{ " + " ".join(parts) + " }"

    def _field(self, parent: GraphQLObjectType, name: str, depth: int, alias_all: bool) -> str:
        found = parent.fields[name]
        named = get_named_type(found.type)
        arguments = self._arguments(parent, name, found)
        alias = ""
        if arguments or alias_all:
            self.aliases += 1
            alias = f"a{self.aliases}: "
        below = "" if is_leaf_type(named) else " " + self._selection(named, depth - 1, alias_all)
        return f"{alias}{name}{arguments}{self._condition()}{below}"

    # --- arguments ----------------------------------------------------------

    def _arguments(self, parent: GraphQLObjectType, name: str, found: GraphQLField) -> str:
        given: list[str] = []
        if "id" in found.args:
            given.append(f"id: {self._variable('ID!', self._id(name))}")
        if "ids" in found.args:
            given.append(
                f"ids: {self._variable('[ID!]!', [self._id('node') for _ in range(self.rng.randrange(5))])}"
            )
        if "box" in found.args:
            given.append(f"box: {self.rng.choice(['TO_DO', 'DONE', 'IN_MY_UNITS'])}")
        if "asOf" in found.args and self._chance(0.5):
            given.append(f"asOf: {self._as_of('id' in found.args)}")
        if "first" in found.args:
            given = self._page(parent, name, found, given)
        return f"({', '.join(given)})" if given else ""

    def _page(self, parent: GraphQLObjectType, name: str, found: GraphQLField, given: list[str]) -> list[str]:
        if self._chance(0.4):
            filters = found.args["filter"].type
            hidden = () if parent.name == "Query" else ("phone",)
            given.append(f"filter: {self._filter(get_named_type(filters), 2, hidden)}")
        if self._chance(0.4):
            order = get_named_type(found.args["orderBy"].type)
            assert isinstance(order, GraphQLEnumType)
            given.append(
                f"orderBy: [{', '.join(self.rng.sample(list(order.values), self.rng.choice([1, 1, 2])))}]"
            )
        size = self.rng.randrange(0, 8)
        word = self.rng.choice(["first", "first", "last"])
        at_root = parent.name == "Query" and name != "approvalInbox"
        if at_root and self._chance(0.4):
            given += self._cursor(name, given)
        given.append(f"{word}: {self._variable('Int', size) if self._chance(0.5) else size}")
        return given

    def _cursor(self, name: str, given: list[str]) -> list[str]:
        """A cursor of the same list: each side is asked for its own beforehand."""
        cursor = self._variable("Cursor", None)
        head = ", ".join([*given, f"first: {self.rng.randrange(1, 9)}"])
        used = {name: self.variables[name][0] for name in re.findall(r"\$(\w+)", head)}
        declared = f"({', '.join(f'${n}: {t}' for n, t in used.items())})" if used else ""
        self.probes[cursor[1:]] = f"query Q{declared} {{ {name}({head}) {{ pageInfo {{ endCursor }} }} }}"
        return [f"{self.rng.choice(['after', 'before'])}: {cursor}"]

    def _as_of(self, is_one: bool) -> str:
        moment = self.rng.choice(self.rows["timeline"])
        offset = max(0, moment["position"] + self.rng.choice([-1, 0, 1]))
        choices = [
            f'{{position: "{moment["epoch"]:08x}{offset:016x}"}}',
            f'{{time: "{moment["recorded_at"].isoformat()}"}}',
            '{time: "1999-01-01T00:00:00Z"}',
            "null",
        ]
        if is_one:
            choices += [f"{{version: {self.rng.randrange(10)}}}"] * 3
        return self.rng.choice(choices)

    def _id(self, name: str) -> str:
        table = {"activity": "activities", "touch": "activities", "workOrder": "work_orders"}.get(
            name
        ) or self.rng.choice(list(PREFIXES))
        known = f"{PREFIXES[table]}_{self.rng.choice(self.rows[table])['id'].hex}"
        if name == "touch":  # whose resolver knows no other
            return known
        return self.rng.choice(
            [known] * 8 + ["", "x", known.upper(), known[:-1], "act_" + "0" * 32, "wo" + known[2:]]
        )

    def _filter(self, type_: Any, depth: int, hidden: tuple[str, ...]) -> str:
        """`hidden`: what can be refused stays at the roots, where a refusal leaves the same data on both
        sides.
        """
        assert isinstance(type_, GraphQLInputObjectType)
        plain = [name for name in type_.fields if name not in ("and", "or", "not", *hidden)]
        parts = []
        for name in self.rng.sample(plain, self.rng.choice([0, 1, 1, 2])):
            parts.append(f"{name}: {self._compare(name, get_named_type(type_.fields[name].type))}")
        if depth:
            for word in self.rng.sample(["and", "or", "not"], self.rng.choice([0, 0, 1, 2])):
                inner = [
                    self._filter(type_, depth - 1, hidden)
                    for _ in range(1 if word == "not" else self.rng.randrange(3))
                ]
                parts.append(f"{word}: {inner[0]}" if word == "not" else f"{word}: [{', '.join(inner)}]")
        return "{" + ", ".join(parts) + "}"

    def _compare(self, name: str, type_: Any) -> str:
        assert isinstance(type_, GraphQLInputObjectType)
        often = (word for word in ("contains", "within", "hasSome", "lt") * 4 if word in type_.fields)
        operator = self.rng.choice([*type_.fields, *often])
        kind = type_.name.removesuffix("Compare").removesuffix("List")
        if operator == "isNull":
            return f"{{isNull: {self.rng.choice(['true', 'false'])}}}"
        if operator in ("in", "hasSome"):
            members = [self._value(kind, name) for _ in range(self.rng.randrange(4))]
            return f"{{{operator}: [{', '.join(members)}]}}"
        if operator == "within":
            roots = [row["ancestor_id"] for row in self.rows["activity_closure"]]
            return f"{{within: {self._variable('ID!', f'act_{self.rng.choice(roots).hex}')}}}"
        if operator == "contains":
            return f"{{contains: {self._variable('String!', self._needle(name))}}}"
        return f"{{{operator}: {self._value(kind, name)}}}"

    def _needle(self, name: str) -> str:
        """A piece of what the column may hold, in the other case."""
        if self._chance(0.6):
            return self.rng.choice(["%", "_", "\\", "\\%", "_%", ""])
        if name in NEEDLES:
            return self.rng.choice(NEEDLES[name])
        text = self.rng.choice(HOSTILE)
        begin = self.rng.randrange(len(text[:20]) or 1)
        return "".join(
            c.swapcase() if c.isascii() else c for c in text[begin : begin + self.rng.randrange(4)]
        )

    def _value(self, kind: str, name: str) -> str:
        rng = self.rng
        column = to_snake_case(name)
        held = [row[column] for rows in self.rows.values() for row in rows if row.get(column) is not None]
        if held and kind in ("Int", "Int64", "Points", "Decimal", "Date", "DateTime") and self._chance(0.6):
            one = rng.choice(held)
            if kind == "Int":
                return self._variable("Int!", one)
            return f'"{one.isoformat() if isinstance(one, date) else one}"'
        match kind:
            case "String":
                return self._variable("String!", rng.choice([*TEXTS, "A03", "research", "lin", HOSTILE[8]]))
            case "ID" | "TreeID":
                own = ("parentId", "activityId", "similarIds")
                table = "activities" if name in own else rng.choice(list(PREFIXES))
                return self._variable(
                    "ID!", rng.choice([f"{PREFIXES[table]}_{rng.choice(self.rows[table])['id'].hex}", "no"])
                )
            case "Int":
                return self._variable("Int!", rng.randrange(-2, 6))
            case "Points" | "Int64":
                return f'"{rng.choice([0, -(2**63), 2**63 - 1, 500_000])}"'
            case "Boolean":
                return rng.choice(["true", "false"])
            case "Decimal":
                return f'"{rng.choice(["0", "1000.5", "-0.01", "99999999"])}"'
            case "Date":
                return self._variable("Date!", rng.choice(["1999-12-31", "2026-03-04", "2026-02-20"]))
            case "DateTime":
                second = rng.randrange(16)
                return f'"2026-01-01T{rng.choice([0, 8]):02}:00:{second:02}{rng.choice(["Z", "+08:00"])}"'
        found = self.schema.type_map[kind]
        assert isinstance(found, GraphQLEnumType)
        return rng.choice(list(found.values))
