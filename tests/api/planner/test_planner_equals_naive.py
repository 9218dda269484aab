"""Planner, stock executor and ordinary resolvers give the same answers to random documents."""

from random import Random

from tests.api.planner.conftest import CHIEF, Bank
from tests.api.planner.differential import DOCUMENTS, differences
from tests.api.planner.documents import write


def test_planner_and_ordinary_resolvers_agree_on_random_documents(bank: Bank) -> None:
    found, planned = differences(bank, range(DOCUMENTS))
    assert found == []
    assert planned > DOCUMENTS * 6 * 0.7  # the others have a resolver of their own, or are refused


def test_the_stock_executor_walks_to_the_same_answers(bank: Bank) -> None:
    for seed in range(40):
        rng = Random(seed)
        document = write(rng, bank.naive.schema, bank.rows)
        variables = document.variables | {name: rng.random() < 0.5 for name in document.conditions}
        ahead, walked = (bank.ask(document.text, variables, CHIEF, ahead=way) for way in (True, False))
        assert (ahead.data, ahead.codes) == (walked.data, walked.codes), document.text
        assert not walked.planned
