"""What a document may ask for. No timing is asserted: what is not linear would not end."""

import pytest
from graphql import get_introspection_query, parse

from api.planner import limits
from api.planner.limits import measured, variables_error
from tests.api.planner.conftest import CHIEF, Bank


def refusals(document: str) -> list[str]:
    errors, _ = measured(parse(document))
    assert all(error.extensions == {"code": "LIMIT_EXCEEDED"} for error in errors)
    return [error.message for error in errors]


def chain(length: int, leaf: str, spreads: int = 1) -> str:
    """Fragments F0 … Fn, each of which spreads the next."""
    links = (f"fragment F{i} on Query {{ {f'...F{i + 1} ' * spreads} }}" for i in range(length))
    return " ".join(["{ ...F0 }", *links, f"fragment F{length} on Query {{ {leaf} }}"])


def deep(levels: int) -> object:
    """Objects and lists by turns."""
    found: object = "x"
    for level in range(levels):
        found = {"not": found} if level % 2 else [found]
    return found


def nested(depth: int, inner: str) -> str:
    return "{ a " * (depth - 1) + "{ " + inner + " }" + " }" * (depth - 1)


def test_a_document_within_every_limit_passes() -> None:
    assert (
        refusals("{ activities(first: 100) { nodes { id workOrders(first: 20) { nodes { id } } } } }") == []
    )


def test_the_common_introspection_query_passes() -> None:
    assert refusals(get_introspection_query()) == []


@pytest.mark.parametrize(
    ("within", "beyond", "what"),
    [
        (nested(12, "a"), nested(13, "a"), "more than 12 depth"),
        (
            "{ __schema { types { fields { type " + "{ ofType " * 15 + "{ name }" + " }" * 18 + " }",
            "{ __schema { types { fields { type " + "{ ofType " * 16 + "{ name }" + " }" * 19 + " }",
            "more than 20 introspection depth",
        ),
        (
            "{ x { " + " ".join(f"a{i}: a" for i in range(60)) + " } }",
            "{ x { " + " ".join(f"a{i}: a" for i in range(61)) + " } }",
            "more than 60 aliases",
        ),
        (
            "{ " + " ".join(f"f{i}" for i in range(20)) + " }",
            "{ " + " ".join(f"f{i}" for i in range(21)) + " }",
            "more than 20 root fields",
        ),
        (
            "{ ...A ...A } fragment A on Query { " + " ".join(f"f{i}" for i in range(10)) + " }",
            "{ ...A ...A b } fragment A on Query { " + " ".join(f"f{i}" for i in range(10)) + " }",
            "more than 20 root fields",
        ),
        (
            "{ x { " + "a @skip(if: true) " * 60 + "} }",
            "query @x { x { " + "a @skip(if: true) " * 60 + "} }",
            "more than 60 directives",
        ),
        (
            "{ x { " + "a " * 200 + "} }",
            "{ x { " + "a " * 201 + "} }",
            "more than 200 repeats of one field",
        ),
        (
            "{ a(first: 100) { nodes { b(last: 100) { nodes { c d e } } } } }",
            "{ a(first: 100) { nodes { b(last: 100) { nodes { c d e f } edges { cursor } } } } }",
            "more than 50000 fields times page sizes",
        ),
        (
            "{ events(first: 500) { events { " + "a " * 98 + "} } }",
            "{ events(first: 500) { events { " + "a " * 99 + "} } }",
            "more than 50000 fields times page sizes",
        ),
        (
            "query ($n: Int) { a(first: $n) { nodes { b(first: $n) { nodes { c d e } } } } }",
            "query ($n: Int) { a(first: $n) { nodes { b(first: $n) { nodes { c d e f g } } } } }",
            "more than 50000 fields times page sizes",
        ),
        (
            "{ a { nodes { b { nodes { c { nodes { d e } } } } } } }",
            "{ a { nodes { b { nodes { c { nodes { d e f g h i } } } } } } }",
            "more than 50000 fields times page sizes",
        ),
        (
            'query { nodes(ids: ["1", "2"]) { a { nodes { b(first: 100) { nodes { c } } } } } }',
            "query ($i: [ID!]!) { nodes(ids: $i) { a { nodes { b(first: 100) { nodes { c } } } } } }",
            "more than 50000 fields times page sizes",
        ),
        (chain(99, "a"), chain(100, "a"), "more than 100 fragments"),
    ],
)
def test_one_more_than_the_limit_is_refused(within: str, beyond: str, what: str) -> None:
    assert refusals(within) == []
    assert refusals(beyond) == [what]


def test_a_fragment_on_a_connection_counts_by_the_page_of_each_field_that_spreads_it() -> None:
    fragment = " fragment C on X { nodes { " + " ".join(f"f{i}" for i in range(400)) + " } }"
    assert refusals("{ a(first: 100) { ...C } }" + fragment) == []
    assert refusals("{ a(first: 100) { ...C } b(first: 100) { ...C } }" + fragment) == [
        "more than 50000 fields times page sizes"
    ]


def test_fan_out_of_fragments_is_counted_without_being_walked() -> None:
    errors = refusals(chain(60, "a", spreads=2))
    assert errors == [
        "more than 2000 selections",
        "more than 50000 fields times page sizes",
        "more than 20 root fields",
    ]


@pytest.mark.parametrize(
    "document",
    [
        "{ ...A } fragment A on Query { ...A }",
        "{ ...A } fragment A on Query { a { ...B } } fragment B on Query { ...A ...A }",
        "{ __schema { ...F0 } } " + chain(60, "...F0", spreads=2).removeprefix("{ ...F0 }"),
    ],
)
def test_a_fragment_that_spreads_itself_is_refused(document: str) -> None:
    assert refusals(document) == ["a fragment spreads itself"]


@pytest.mark.parametrize("size", ["99999999999999999999", "9" * 4_400, "-1", "1001"])
def test_a_page_size_of_any_length_is_counted(size: str) -> None:
    assert refusals(f"{{ a(first: {size}) {{ nodes {{ b }} }} }}") == []


@pytest.mark.parametrize(
    "document",
    [
        chain(60, "serverName", spreads=2),
        nested(13, "a").replace("a ", "serverName "),
        "{ " + "serverName " * 4_001 + "}",
        "{ " + "[" * 300 + "}",
        "# " + "x" * limits.MAX_SOURCE_CHARACTERS + "\n{ serverName }",
    ],
)
def test_both_ways_refuse_with_the_same_code(bank: Bank, document: str) -> None:
    for ahead in (True, False):
        answer = bank.ask(document, viewer=CHIEF, ahead=ahead)
        assert not answer.planned
        assert answer.data is None
        assert set(answer.codes) <= {"LIMIT_EXCEEDED", "BAD_INPUT"}
        assert answer.codes


@pytest.mark.parametrize(
    ("within", "beyond", "what"),
    [
        ({"ids": ["x"] * 49_999}, {"ids": ["x"] * 50_000}, "more than 50000 values in the variables"),
        (
            {"f": {"and": [{}] * 9_997}},
            {"f": {"and": [{}] * 9_998}},
            "more than 10000 objects and lists in the variables",
        ),
        ({"f": deep(49)}, {"f": deep(50)}, "more than 50 depth in the variables"),
    ],
)
def test_variables_may_hold_as_much_as_this(
    within: dict[str, object], beyond: dict[str, object], what: str
) -> None:
    assert variables_error(within) is None
    refusal = variables_error(beyond)
    assert refusal is not None
    assert (refusal.message, refusal.extensions) == (what, {"code": "LIMIT_EXCEEDED"})
