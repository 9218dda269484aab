"""Planner and ordinary resolvers give the same answers to random documents; a broken planner does not."""

import re
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from api.planner import pages, plans, reads
from api.planner.requests import Parts, Request, Viewer, statement
from tests.api.planner.conftest import CHIEF, STAFF, Bank
from tests.api.planner.documents import Document, write
from tests.api.planner.naive import normal

DOCUMENTS = 300


def differences(bank: Bank, seeds: range, stop_at_first: bool = False) -> tuple[list[str], int]:
    """What differs, and how many answers were planned ahead of strawberry."""
    found, planned = [], 0
    for seed in seeds:
        rng = Random(seed)
        document = write(rng, bank.naive.schema, bank.rows)
        for viewer in (STAFF, CHIEF):
            for _ in range(2):
                rolled = {name: rng.random() < 0.5 for name in document.conditions}
                difference, ahead = _difference(bank, document, rolled, viewer)
                planned += ahead
                if difference:
                    found.append(f"seed {seed}, {viewer.user}, {rolled}: {document.text}\n{difference}")
        if found and stop_at_first:
            break
    return found, planned


def _difference(
    bank: Bank, document: Document, rolled: dict[str, bool], viewer: Viewer
) -> tuple[str | None, bool]:
    own, others = document.variables | rolled, document.variables | rolled
    for name, probe in document.probes.items():
        used = {n: v for n, v in document.variables.items() if f"${n}:" in probe}
        cursors = []
        for data in (bank.ask(probe, used, viewer).data, bank.naive.ask(probe, used, viewer).data):
            cursors.append(next(iter(data.values()))["pageInfo"]["endCursor"] if data else None)
        own, others = own | {name: cursors[0]}, others | {name: cursors[1]}
    answer, expected = bank.ask(document.text, own, viewer), bank.naive.ask(document.text, others, viewer)
    codes = sorted((error.extensions or {}).get("code", error.message) for error in expected.errors or [])
    one, other = (normal(answer.data), answer.codes), (normal(expected.data), codes)
    return (None if one == other else f"{one}\n{other}"), answer.planned


def test_planner_and_ordinary_resolvers_agree_on_random_documents(bank: Bank) -> None:
    found, planned = differences(bank, range(DOCUMENTS))
    assert found == []
    assert planned > DOCUMENTS * 4 * 0.7  # the others have a resolver of their own, or are refused


def test_the_stock_executor_walks_to_the_same_answers(bank: Bank) -> None:
    for seed in range(40):
        rng = Random(seed)
        document = write(rng, bank.naive.schema, bank.rows)
        variables = document.variables | {name: rng.random() < 0.5 for name in document.conditions}
        ahead, walked = (bank.ask(document.text, variables, CHIEF, ahead=way) for way in (True, False))
        assert (ahead.data, ahead.codes) == (walked.data, walked.codes), document.text
        assert not walked.planned


MUTANTS = {
    "row scope dropped": (r"t\d+\.unit = any\(\$\d+::text\[\]\)", "true"),
    "rows without a unit hidden": (r"t\d+\.unit is null or ", ""),
    "cursor inclusive": (r"\) ([<>]) \(\$", r") \1= ($"),
    "page without the row that tells whether more follow": (r"::int \+ 1", "::int"),
    "ties left to chance": (r", t\d+\.id (asc|desc)", ""),
    "the past includes its end": (r"(position_to\)) >", r"\1 >="),
    "the past excludes its beginning": (r"(position_from\)) <=", r"\1 <"),
    "a version that is to come": (r"and \$\d+::int <= \(select max", "and 0 <= (select max"),
    "not keeps null": (r" is not true", " is false"),
    "pattern case-sensitive": (r" ilike ", " like "),
    "enum by value": (r"upper\(", "lower("),
    "elements out of order": (r"(order by t\d+)\.ordinality", r"\1.ordinality desc"),
    "ids out of order": (r"(order by t\d+)\.place", r"\1.place desc"),
    "minor digits of the yen": (r"'JPY', ", ""),
    "relation to another row": (r"(t\d+)\.parent_id = t\d+\.id", r"\1.parent_id = \1.parent_id"),
    "a subtree without its descendants": (r"select descendant_id from", "select ancestor_id from"),
    "a computed field of another viewer": (r"(\$\d+::text) = 'lin'", r"\1 <> 'lin'"),
    "array relation to any row": (r"ancestor_ids @>", "ancestor_ids <@"),
}


def mutated(pattern: str, by: str) -> Callable[[Parts, Request], str]:
    return lambda parts, request: re.sub(pattern, by, statement(parts, request))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_of_the_sql_differs(bank: Bank, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(reads, "statement", mutated(*MUTANTS[name]))
    assert differences(bank, range(DOCUMENTS), stop_at_first=True)[0]


@pytest.mark.parametrize("module", [plans, pages])
def test_a_mutant_that_ignores_masks_differs(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    monkeypatch.setattr(module, "permitted", lambda *_: True)
    assert differences(bank, range(DOCUMENTS), stop_at_first=True)[0]


def test_a_mutant_that_does_not_escape_patterns_differs(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    bind = Request.bind

    def unescaped(self: Request, value: object, sql_type: str) -> str:
        is_pattern = isinstance(value, str) and value.startswith("%") and value.endswith("%")
        return bind(self, re.sub(r"\\(.)", r"\1", value) if is_pattern else value, sql_type)

    monkeypatch.setattr(Request, "bind", unescaped)
    assert differences(bank, range(DOCUMENTS), stop_at_first=True)[0]


def test_a_mutant_that_forgets_the_kind_of_an_id_differs(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    view_of = plans.view_of
    monkeypatch.setattr(plans, "view_of", lambda row: replace(view_of(row), kind="work_order"))
    assert differences(bank, range(DOCUMENTS), stop_at_first=True)[0]
