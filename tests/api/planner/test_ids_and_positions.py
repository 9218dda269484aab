"""Ids and positions read back what they wrote, and nothing else."""

from uuid import UUID

import pytest

from api.planner import ids, positions
from api.planner.positions import Position
from tests.api.planner.conftest import CHIEF, STAFF, Bank

KEY = UUID("019b0000-0000-7000-8000-0000000000ff")


def test_an_id_is_prefix_and_key() -> None:
    assert ids.encode("act", KEY) == "act_019b00000000700080000000000000ff"
    assert ids.decode("act_019b00000000700080000000000000ff") == ("act", KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "act",
        "act_",
        f"act_{KEY}",
        f"act_{KEY.hex.upper()}",
        f"_{KEY.hex}",
        f"act_{KEY.hex}\n",
        f"äct_{KEY.hex}",
    ],
)
def test_only_the_canonical_text_is_an_id(text: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        ids.decode(text)


def test_positions_sort_as_their_texts() -> None:
    ordered = [
        Position(0, 0),
        Position(0, 9),
        Position(0, 10),
        Position(0, 2**63 - 1),
        Position(1, 0),
        Position(16, 3),
    ]
    texts = [positions.encode(position) for position in ordered]
    assert texts == sorted(texts)
    assert [positions.decode(text) for text in texts] == ordered


@pytest.mark.parametrize(
    "text", ["", "0" * 23, "0" * 25, "8" + "0" * 23, "0" * 8 + "8" + "0" * 15, "0" * 23 + "G"]
)
def test_what_was_not_written_is_no_position(text: str) -> None:
    with pytest.raises(ValueError, match="not a position"):
        positions.decode(text)


def test_an_id_that_is_unknown_malformed_of_another_type_or_not_visible_is_null(bank: Bank) -> None:
    hidden = next(row["id"] for row in bank.rows["activities"] if row["unit"] not in STAFF.units)
    document = "query ($id: ID!) { activity(id: $id) { id } node(id: $id) { id } nodes(ids: [$id]) { id } }"
    for id in [
        f"act_{KEY.hex}",
        f"wo_{hidden.hex}",
        f"act_{hidden.hex}",
        "act_",
        "",
        "é\0",
        f"ACT_{hidden.hex}",
    ]:
        answer = bank.ask(document, {"id": id}, STAFF)
        assert answer.planned
        assert answer.data == {"activity": None, "node": None, "nodes": [None]}
    assert bank.ask(document, {"id": f"act_{hidden.hex}"}, STAFF).data["node"] is None


def test_nodes_come_in_the_order_asked_for_and_at_most_a_hundred(bank: Bank) -> None:
    known = [f"act_{row['id'].hex}" for row in bank.rows["activities"] if row["unit"] in CHIEF.units][:3]
    asked = [known[2], "x", known[0], f"ct_{bank.rows['cost_types'][0]['id'].hex}", known[2]]
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
    found = bank.ask(document, {"ids": asked}).data["nodes"]
    assert [node and node["id"] for node in found] == [asked[0], None, *asked[2:]]
    assert bank.ask(document, {"ids": []}).data == {"nodes": []}
    assert len(bank.ask(document, {"ids": ["x"] * 100}).data["nodes"]) == 100
    for ahead in (True, False):
        assert bank.ask(document, {"ids": ["x"] * 101}, ahead=ahead).codes == ["LIMIT_EXCEEDED"]
