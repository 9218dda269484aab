"""The differential test is worth what it catches: each of these faults of the planner makes it differ."""

from collections.abc import Callable

import pytest

from tests.api.planner.mutants import MUTANTS, imported_with
from tests.api.planner.sample import load, make_rows


@pytest.fixture(scope="module")
def loaded(make_database: Callable[..., str]) -> str:
    url = make_database()
    load(url, make_rows())
    return url


@pytest.mark.drill
@pytest.mark.parametrize("fault", MUTANTS)
def test_a_fault_of_the_planner_differs(loaded: str, fault: str) -> None:
    with imported_with(MUTANTS[fault]):
        from tests.api.planner.conftest import Bank
        from tests.api.planner.differential import DOCUMENTS, differences

        bank = Bank(loaded)
        try:
            assert differences(bank, range(DOCUMENTS), stop_at_first=True)[0]
        finally:
            bank.close()
