"""What clients of earlier versions have stored runs on this one: their documents, and all they might ask."""

import json
from typing import Any

import pytest
from graphql import build_schema, parse, validate
from graphql.utilities import find_breaking_changes

from tests.api.cardinal_process import ROOT
from tests.api.house import House
from tests.pages import PLACEHOLDER, filled

OLD = ROOT / "tests" / "old_clients"
SCHEMAS = sorted(OLD.glob("schema-*.graphql"))
"""Without descriptions, a definition a line: what a client may name."""
DOCUMENTS = [each for path in sorted(OLD.glob("documents-*.json")) for each in json.loads(path.read_text())]
CURRENT = build_schema((ROOT / "docs" / "schema.graphql").read_text())


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_nothing_that_an_earlier_schema_promised_is_gone(path: Any) -> None:
    """NFR-05: whatever a stored document may name is there, and nothing new is demanded."""
    broken = find_breaking_changes(build_schema(path.read_text()), CURRENT)
    assert [change.description for change in broken] == []


def test_what_would_break_an_old_client_is_found() -> None:
    old = build_schema("type Query { a: Int, b(c: Int): Int }")
    new = build_schema("type Query { b(c: Int, d: Int!): Int }")
    assert len(find_breaking_changes(old, new)) == 2


def test_documents_of_earlier_versions_are_valid_and_their_queries_are_answered(house: House) -> None:
    """NFR-05: as the pages of that version gave them; ids that nobody has here find nothing."""
    assert len(DOCUMENTS) > 30
    answered = 0
    for each in DOCUMENTS:
        document = parse(each["query"])
        assert validate(CURRENT, document) == [], each["page"]
        if "mutation" in each["query"] or "subscription" in each["query"] or "<" in each["query"]:
            continue
        variables = filled(
            each["variables"], dict.fromkeys(PLACEHOLDER.findall(each["variables"]), "act_none")
        )
        answer = house.answer(each["user"], each["query"], **json.loads(variables))
        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
        assert codes <= {"BAD_INPUT"}, (each["page"], answer)
        answered += not codes
    assert answered >= 7
