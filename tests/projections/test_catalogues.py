"""Catalogue rows: one per entry, gone when it is removed."""

from datetime import timedelta
from typing import Any

import pytest

from domain.catalogues import (
    Details,
    EntryAdded,
    EntryDisabled,
    EntryEnabled,
    EntryMoved,
    EntryRemoved,
    EntryRevised,
)
from projections.catalogues import ACTIVITY_TYPES, COST_TYPES, ActivityTypeRow, CostTypeRow
from projections.shared.rows import RowProjection
from tests.projections.folding import MORNING, History, id_of, row_of

DINING = Details("Dining", "Meals", 7)
SMS = Details("SMS", "", 1, {"accounting_subject": "6601", "unit": "CNY"})


def row(projection: RowProjection[Any], *events: Any) -> Any:
    return row_of(projection, History().happens(projection.name[:-1], "entry", *events), "entry")


def test_an_added_activity_type_is_enabled_under_its_parent() -> None:
    at = MORNING + timedelta(minutes=1)
    assert row(ACTIVITY_TYPES, EntryAdded("DIN", DINING, id_of("parent"))) == ActivityTypeRow(
        id=id_of("entry"),
        version=1,
        revision=1,
        code="DIN",
        name="Dining",
        description="Meals",
        sort_order=7,
        status="enabled",
        parent_id=id_of("parent"),
        created_at=at,
        created_by="lin",
        changed_at=at,
        changed_by="lin",
    )


def test_an_added_cost_type_has_its_attributes_as_columns() -> None:
    at = MORNING + timedelta(minutes=1)
    assert row(COST_TYPES, EntryAdded("SMS", SMS, None)) == CostTypeRow(
        id=id_of("entry"),
        version=1,
        revision=1,
        code="SMS",
        name="SMS",
        description="",
        sort_order=1,
        status="enabled",
        accounting_subject="6601",
        unit="CNY",
        created_at=at,
        created_by="lin",
        changed_at=at,
        changed_by="lin",
    )


@pytest.mark.parametrize("projection", [ACTIVITY_TYPES, COST_TYPES])
def test_a_revision_changes_details_version_and_revision(projection: RowProjection[Any]) -> None:
    attributes = {"accounting_subject": "6602", "unit": "piece"}
    found = row(
        projection,
        EntryAdded("X", SMS, None),
        EntryRevised(2, Details("New", "text", 3, attributes)),
    )
    assert (found.name, found.description, found.sort_order) == ("New", "text", 3)
    assert (found.version, found.revision, found.code) == (2, 2, "X")
    assert found.changed_at - found.created_at == timedelta(minutes=1)
    if isinstance(found, CostTypeRow):
        assert (found.accounting_subject, found.unit) == ("6602", "piece")


def test_a_move_changes_the_parent_alone() -> None:
    found = row(ACTIVITY_TYPES, EntryAdded("X", DINING, None), EntryMoved(2, id_of("parent")))
    assert (found.parent_id, found.name, found.revision) == (id_of("parent"), "Dining", 2)


@pytest.mark.parametrize("projection", [ACTIVITY_TYPES, COST_TYPES])
def test_status_is_the_entrys_own_and_no_new_revision(projection: RowProjection[Any]) -> None:
    added = EntryAdded("X", SMS, None)
    disabled = row(projection, added, EntryDisabled())
    assert (disabled.status, disabled.version, disabled.revision) == ("disabled", 2, 1)
    assert row(projection, added, EntryDisabled(), EntryEnabled()).status == "enabled"


@pytest.mark.parametrize("projection", [ACTIVITY_TYPES, COST_TYPES])
def test_a_removed_entry_has_no_row(projection: RowProjection[Any]) -> None:
    assert row(projection, EntryAdded("X", SMS, None), EntryRemoved()) is None
