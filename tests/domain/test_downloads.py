"""Downloads: each is recorded once, with who, what and where to."""

from dataclasses import replace

import pytest

from domain.downloads import (
    ADDRESS_CHARACTERS_MAX,
    DECIDER,
    FILTER_CHARACTERS_MAX,
    DownloadRecorded,
    RecordDownload,
)
from domain.shared.refusal import CommonRefusal
from tests.domain.examples import CARD_NUMBER
from tests.given import ExpectedFault, Given

download = Given(DECIDER)
record = RecordDownload("activities", '{"code":{"eq":"SPRING-26"}}', 37, "203.0.113.9", "SH", "hu")
recorded = DownloadRecorded("activities", '{"code":{"eq":"SPRING-26"}}', 37, "203.0.113.9", "SH", "hu")


def test_a_download_is_recorded_with_user_subject_rows_and_address() -> None:
    """ACT-05"""
    download.given().when(record).then(recorded)
    download.given().when(replace(record, filter="", rows=0)).then(replace(recorded, filter="", rows=0))


def test_a_download_is_recorded_once() -> None:
    download.given(recorded).when(record).then_defect()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"subject": ""}, (CommonRefusal.REQUIRED, "subject")),
        ({"filter": "x" * (FILTER_CHARACTERS_MAX + 1)}, (CommonRefusal.TOO_LONG, "filter")),
        ({"filter": CARD_NUMBER}, (CommonRefusal.CARD_NUMBER_IN_TEXT, "filter")),
        ({"address": "1" * (ADDRESS_CHARACTERS_MAX + 1)}, (CommonRefusal.TOO_LONG, "address")),
    ],
)
def test_what_the_log_may_not_hold_is_not_recorded(changes: dict[str, str], fault: ExpectedFault) -> None:
    """The log keeps everything for ever, so a filter by a card number is no download."""
    download.given().when(replace(record, **changes)).then_refused(fault)  # type: ignore[arg-type]
