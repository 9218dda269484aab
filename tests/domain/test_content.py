"""The content hash: what an approver saw, the same in every process and for ever."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.activities import DECIDER, ActivityDrafted, submitted_hash
from domain.activity_figures import Exclusion
from domain.activity_plans import Channel, Choice
from domain.shared.content import content_hash
from tests.domain.examples import (
    BARE_PLAN,
    DINING,
    FORM,
    GIFTS,
    MARKETING,
    PLAN,
    POINTS,
    SMS_FEE,
    TIMES_POINTS,
)

CHECKOUT = Path(__file__).parents[2]
BARE_PLAN_HASH = "ed4ec265122396f1435f5e453b5f8ce68e1ec2e2da90c714dbf2f81ecab52346"
BARE_SUBMITTED_HASH = "ea3e966719bfc27183e82adea327a5f1f22896874078587a27ac6939d03824dc"
PLAN_HASH = "af46f134218eed7e79671da00edb500a7fc386471e20fdce72e53fadb57bcb70"
SUBMITTED_HASH = "bb761b5b8b9f7dc145882f7e978317c3877c0c525e074658d30bbaef72e303b6"

BARE_ACTIVITY = DECIDER.fold([ActivityDrafted("SPRING-26", "HO", BARE_PLAN, "lin")])
BARE_CHOICES = (Choice(DINING), FORM, Choice(SMS_FEE), Choice(GIFTS))
ACTIVITY = DECIDER.fold([ActivityDrafted("SPRING-26", "HO", PLAN, "lin")])
CHOICES = (*BARE_CHOICES, Choice(MARKETING), POINTS)


def other(value: Any) -> Any:
    """Another value of the same kind."""
    match value:
        case StrEnum():
            return next(member for member in type(value) if member is not value)
        case None:
            return "x"
        case str():
            return value + "x"
        case int():
            return value + 1
        case datetime():
            return value + timedelta(microseconds=1)
        case date():
            return value + timedelta(days=1)
        case UUID():
            return UUID(int=value.int + 1)
        case dict():
            return value | {"another": "x"}
    raise AssertionError(f"what else than {value!r}?")


def variations(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The value with one leaf changed, each leaf in turn, and each sequence shortened and turned round."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            for where, varied in variations(getattr(value, field.name), f"{path}.{field.name}"):
                yield where, replace(value, **{field.name: varied})
    elif isinstance(value, tuple):
        yield f"{path} shorter", value[:-1]
        if len(value) > 1:
            yield f"{path} turned", value[::-1]
        for index, member in enumerate(value):
            for where, varied in variations(member, f"{path}[{index}]"):
                yield where, (*value[:index], varied, *value[index + 1 :])
    else:
        yield path, other(value)


FULL = replace(PLAN, exclusions=(Exclusion.OVERDUE, Exclusion.NO_ACTIVE_CARD))
VARIATIONS = list(variations(FULL))


def test_the_hash_of_a_known_plan_never_changes() -> None:
    """APR-09: open approvals are bound to stored hashes; another for the same plan would void them all."""
    assert content_hash(PLAN) == PLAN_HASH
    assert submitted_hash(ACTIVITY, CHOICES) == SUBMITTED_HASH
    assert content_hash(BARE_PLAN) == BARE_PLAN_HASH
    assert submitted_hash(BARE_ACTIVITY, BARE_CHOICES) == BARE_SUBMITTED_HASH


@pytest.mark.parametrize(("seed", "zone"), [("0", "UTC"), ("1", "Asia/Shanghai"), ("2", "America/New_York")])
def test_every_process_finds_the_same_hash(seed: str, zone: str) -> None:
    program = (
        "from tests.domain.examples import PLAN; from domain.shared.content import content_hash;"
        "print(content_hash(PLAN), end='')"
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone}
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, env=environment, capture_output=True, check=True
    )
    assert found.stdout.decode() == PLAN_HASH


@pytest.mark.parametrize(("where", "varied"), VARIATIONS, ids=[where for where, _ in VARIATIONS])
def test_the_hash_changes_with_every_field(where: str, varied: object) -> None:
    """APR-09: a decision is bound to exactly what was seen."""
    assert varied != FULL, where
    assert content_hash(varied) != content_hash(FULL), where


@pytest.mark.parametrize("field", ["registration", "award"])
def test_the_hash_changes_when_an_optional_part_is_left_out(field: str) -> None:
    assert content_hash(replace(PLAN, **{field: None})) != PLAN_HASH


def test_the_optional_parts_are_not_confused_with_each_other() -> None:
    only_award = replace(PLAN, registration=None, award=PLAN.award)
    only_registration = replace(PLAN, registration=PLAN.award, award=None)
    assert content_hash(only_award) != content_hash(only_registration)


def test_what_is_submitted_covers_code_revision_and_every_reference() -> None:
    """APR-09: also the revisions in which the things that the plan refers to stand."""
    varied = [
        submitted_hash(replace(ACTIVITY, code="SPRING-27"), CHOICES),
        submitted_hash(replace(ACTIVITY, revision=2), CHOICES),
        submitted_hash(replace(ACTIVITY, plan=replace(PLAN, name="x")), CHOICES),
        submitted_hash(ACTIVITY, (Choice(replace(DINING, revision=4)), *CHOICES[1:])),
        submitted_hash(ACTIVITY, (*CHOICES[:3], Choice(replace(GIFTS, revision=9)), *CHOICES[4:])),
        submitted_hash(ACTIVITY, (*CHOICES[:4], Choice(replace(MARKETING, revision=9)), POINTS)),
        submitted_hash(ACTIVITY, (*CHOICES[:5], Choice(replace(TIMES_POINTS, revision=7)))),
        submitted_hash(ACTIVITY, (Choice(None), *CHOICES[1:])),
        submitted_hash(ACTIVITY, CHOICES[:2]),
    ]
    assert len({SUBMITTED_HASH, *varied}) == 1 + len(varied)


def test_an_instant_is_the_same_in_every_zone() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert content_hash(noon) == content_hash(noon.astimezone(timezone(timedelta(hours=8))))


def test_a_field_that_is_added_later_and_absent_changes_no_old_hash() -> None:
    @dataclass(frozen=True)
    class Before:
        name: str

    @dataclass(frozen=True)
    class After:
        name: str
        remark: str | None = None

    assert content_hash(After("x")) == content_hash(Before("x"))
    assert content_hash(After("x", "y")) != content_hash(Before("x"))


def test_the_canonical_form_is_sorted_json_without_spaces() -> None:
    text = '{"a":["春",1,true,null,"2026-03-01","app"],"b":{}}'
    content = {"b": {}, "a": ("春", 1, True, None, date(2026, 3, 1), Channel.APP)}
    assert content_hash(content) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("value", [0.1, Decimal("0.1"), b"x", {1, 2}, frozenset({"a"}), object(), Channel])
def test_what_has_no_one_canonical_form_is_not_hashed(value: object) -> None:
    with pytest.raises(TypeError):
        content_hash((value,))
