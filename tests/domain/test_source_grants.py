"""Source grants: what a unit may use of a table, and nothing else."""

from dataclasses import replace

import pytest

from domain.shared.refusal import CommonRefusal
from domain.source_grants import (
    DECIDER,
    GrantRefusal,
    GrantSource,
    RevokeSource,
    SourceGranted,
    SourceRevoked,
    grant_id,
)
from tests.given import ExpectedFault, Given

grant = Given(DECIDER)

KNOWN = ("customer_id", "level", "mobile")
give = GrantSource("SH", "bank", "customers", ("level", "customer_id"), KNOWN, by="admin")
granted = SourceGranted(1, "SH", "bank", "customers", ("customer_id", "level"), by="admin")
revoked = SourceRevoked(2, by="admin")


def test_columns_are_granted_in_the_tables_order() -> None:
    """LOG-05"""
    grant.given().when(give).then(granted)


def test_the_same_grant_again_changes_nothing() -> None:
    grant.given(granted).when(replace(give, columns=("customer_id", "level"))).then_nothing()


def test_a_grant_replaces_the_one_before_in_its_next_revision() -> None:
    """LOG-05"""
    grant.given(granted).when(replace(give, columns=("level",))).then(
        replace(granted, revision=2, columns=("level",))
    )
    grant.given(granted, revoked).when(give).then(replace(granted, revision=3))


def test_what_is_revoked_is_gone() -> None:
    """LOG-05"""
    grant.given(granted).when(RevokeSource("admin")).then(revoked)
    grant.given(granted, revoked).when(RevokeSource("admin")).then_nothing()
    grant.given().when(RevokeSource("admin")).then_refused((CommonRefusal.NOT_FOUND, "id"))
    assert DECIDER.fold([granted, revoked]).columns == ()


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"is_unit_known": False}, (CommonRefusal.NOT_FOUND, "org_unit")),
        ({"is_source_known": False}, (GrantRefusal.UNKNOWN_SOURCE, "source")),
        ({"known": ()}, (GrantRefusal.UNKNOWN_TABLE, "table")),
        ({"columns": ()}, (CommonRefusal.REQUIRED, "columns")),
        ({"columns": ("level", "salary")}, (GrantRefusal.UNKNOWN_COLUMN, "columns", 1)),
        ({"columns": ("level", "level")}, (CommonRefusal.DUPLICATE, "columns", 1)),
        ({"columns": ("level",) * 501}, (CommonRefusal.TOO_MANY, "columns")),
    ],
)
def test_only_what_there_is_can_be_granted(given: dict[str, object], fault: ExpectedFault) -> None:
    """LOG-05: from a governed catalogue of sources and tables."""
    grant.given().when(replace(give, **given)).then_refused(fault)


def test_a_grant_is_found_by_unit_source_and_table() -> None:
    assert grant_id("SH", "bank", "customers") == grant_id("SH", "bank", "customers")
    assert (
        len(
            {
                grant_id(*key)
                for key in (("SH", "bank", "cards"), ("SZ", "bank", "cards"), ("SH", "x", "cards"))
            }
        )
        == 3
    )
