"""Who joined, stayed and left between two extractions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.group_memberships import Movement, movements
from tests.given import PROPERTY

IDS = st.sets(st.text("AB01", min_size=1, max_size=3))


def test_a_customer_who_meets_the_rule_on_day_2_only_joins_and_leaves() -> None:
    """SEG-09"""
    days = [["C1"], ["C1", "C2"], ["C1"]]
    assert list(movements([], days[0])) == [("C1", Movement.JOINED)]
    assert list(movements(days[0], days[1])) == [("C1", Movement.STAYED), ("C2", Movement.JOINED)]
    assert list(movements(days[1], days[2])) == [("C1", Movement.STAYED), ("C2", Movement.LEFT)]


@PROPERTY
@given(before=IDS, after=IDS)
def test_movements_are_the_sets_differences_in_order(before: set[str], after: set[str]) -> None:
    """SEG-09"""
    found = list(movements(sorted(before), sorted(after)))
    assert [id_ for id_, _ in found] == sorted(before | after)
    by_kind = {kind: {id_ for id_, moved in found if moved is kind} for kind in Movement}
    assert by_kind == {
        Movement.JOINED: after - before,
        Movement.STAYED: after & before,
        Movement.LEFT: before - after,
    }


@pytest.mark.parametrize("ids", [["C2", "C1"], ["C1", "C1"]])
def test_ids_out_of_order_are_a_defect(ids: list[str]) -> None:
    for before, after in ((ids, ["C3"]), (["C3"], ids)):
        with pytest.raises(AssertionError):
            list(movements(before, after))
