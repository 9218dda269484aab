"""Sentences say statuses and levels in words of people, and repeat little of what was sent."""

import importlib
import pkgutil
from enum import StrEnum

import pytest

import domain
from api.message_words import LEVEL_WORDS, STATUS_WORDS, VALUE_CHARACTERS_MAX
from api.messages import message
from domain.approvals import Level


def statuses() -> set[str]:
    modules = [
        importlib.import_module(f"domain.{found.name}") for found in pkgutil.iter_modules(domain.__path__)
    ]
    enums = [module.Status for module in modules if hasattr(module, "Status")]
    assert all(issubclass(enum, StrEnum) for enum in enums)
    return {member.value for enum in enums for member in enum}


def test_each_status_and_level_has_words() -> None:
    assert set(STATUS_WORDS) == statuses()
    assert set(LEVEL_WORDS) == {level.value for level in Level}


@pytest.mark.parametrize(
    ("language", "said"),
    [("zh", "当前状态（取消待审批）不可提交工单。"), ("en", "waiting for the verdict on its cancellation.")],
)
def test_no_status_word_of_programs_is_in_a_sentence(language: str, said: str) -> None:
    sentence = message("WORK_ORDER_NOT_SUBMITTABLE", {"status": "cancellation_pending"}, language)  # type: ignore[arg-type]
    assert said in sentence
    assert "_" not in sentence


def test_a_sentence_repeats_little_of_what_was_sent() -> None:
    sentence = message("UNKNOWN_FIELD", {"name": "x" * 100_000}, "en")
    assert len(sentence) < VALUE_CHARACTERS_MAX + 50


def test_who_uses_a_thing_is_said_in_words() -> None:
    users = {"users": "work_order WO-2026-000001, activity AUTUMN"}
    assert message("IN_USE", users, "zh") == "正在使用：工单 WO-2026-000001, 活动 AUTUMN。"
    assert message("IN_USE", users, "en") == "It is in use by work order WO-2026-000001, activity AUTUMN."
