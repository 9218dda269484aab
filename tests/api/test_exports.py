"""Excel exports: the rows of the list, typed cells, no formulas, and a record of each file that left."""

import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from api import exports
from tests.api.campaigns import activity_type, code, cost_type, drafted, plan
from tests.api.house import House


def asked(house: House, user: str, filter: Any = None, **headers: str) -> Any:
    given = {} if filter is None else {"filter": filter if isinstance(filter, str) else json.dumps(filter)}
    sent = {"authorization": f"Bearer {user}", **headers}
    return house.client.get(exports.ACTIVITIES_PATH, params=given, headers=sent)


def sheet(house: House, user: str, filter: Any = None, **headers: str) -> list[dict[str, Any]]:
    answer = asked(house, user, filter, **headers)
    assert answer.status_code == 200, answer.text
    rows = load_workbook(BytesIO(answer.content)).active.iter_rows()
    names = [cell.value for cell in next(rows)]
    return [dict(zip(names, row, strict=True)) for row in rows]


def eventually(is_so: Callable[[], bool]) -> None:
    """What follows an answer comes a moment later."""
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["extensions"]["code"]


def test_the_filter_decides_how_many_rows_the_file_has(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """ACT-05: 37 rows and the header, whatever the size of the pages they are read in."""
    monkeypatch.setattr(exports, "PAGE_ROWS", 10)
    type_ = activity_type(house)["id"]
    given = [plan(type_, name=f"Dining {number}") for number in range(37)]
    made = [
        house.done("operator", "draftActivity", "activity { code }", code=code(), **each) for each in given
    ]
    drafted(house)
    rows = sheet(house, "auditor", {"activityTypeId": {"eq": type_}})
    assert [row["Code"].value for row in rows] == [each["code"] for each in made]


def test_dates_and_amounts_are_typed_cells_and_text_is_never_a_formula(house: House) -> None:
    """ACT-05"""
    type_, fee = activity_type(house), cost_type(house, name="=1+1")
    given = plan(type_["id"], fee["id"], name='=HYPERLINK("http://x")', description="+SUM(A1) ", goal="USE")
    made = house.done("operator", "draftActivity", "activity { code }", code=code(), **given)
    [row] = sheet(house, "operator", {"code": {"eq": made["code"]}})
    assert (row["Name"].value, row["Name"].data_type) == ('=HYPERLINK("http://x")', "s")
    assert (row["Description"].value, row["Description"].data_type) == ("+SUM(A1) ", "s")
    assert row["Cost lines"].value.startswith("=1+1 100.50")
    assert row["Cost lines"].data_type == "s"
    assert row["Starts at (Asia/Shanghai)"].value == datetime(2027, 3, 1, tzinfo=UTC).replace(tzinfo=None)
    assert row["Starts at (Asia/Shanghai)"].is_date
    assert (row["Budget"].value, row["Budget"].data_type) == (90_000, "n")
    assert (row["Costs"].value, row["Currency"].value) == (100.5, "CNY")
    assert (row["Status"].value, row["Goal"].value) == ("DRAFT", "USE")
    assert row["Activity type"].value == type_["name"]
    assert row["Rewards"].value.endswith("2 times ≤ ∞ / ∞")
    assert row["Submitted at (Asia/Shanghai)"].value is None
    assert row["Department"].value
    assert row["Responsible"].value == "operator"
    assert "名称" in sheet(house, "operator", {"code": {"eq": made["code"]}}, **{"accept-language": "zh"})[0]


def test_a_branch_gets_its_own_rows_only(house: House) -> None:
    """ACT-05, SEC-03: the scope is that of the list."""
    ours, theirs = drafted(house, "branch"), drafted(house)
    chosen = {"id": {"in": [ours["id"], theirs["id"]]}}
    assert [row["Code"].value for row in sheet(house, "branch", chosen)] == [ours["code"]]
    assert len(sheet(house, "operator", chosen)) == 2


def test_each_download_is_recorded_with_user_filter_rows_and_address(house: House) -> None:
    """ACT-05"""
    activity = drafted(house)
    chosen = {"code": {"eq": activity["code"]}}
    sheet(house, "auditor", chosen)
    asked(house, "auditor", chosen, **{"accept-language": "zh"})
    query = """query ($f: DownloadFilter) {
        downloads(filter: $f) { nodes { subject rows orgUnit recordedBy address } }
        timeline(last: 1) { nodes { eventType actor } } }"""
    given = {"filter": {"eq": json.dumps(chosen)}}
    eventually(lambda: len(house.data("operator", query, f=given)["downloads"]["nodes"]) == 2)
    found = house.data("operator", query, f=given)
    one = {
        "subject": "activities",
        "rows": 1,
        "orgUnit": "HO",
        "recordedBy": "auditor",
        "address": "127.0.0.1",
    }
    assert found["downloads"]["nodes"] == [one, one]
    assert found["timeline"]["nodes"] == [{"eventType": "download.recorded", "actor": "auditor"}]


@pytest.mark.parametrize(
    "filter",
    ["{", "[]", '"x"', '{"nothing":{"eq":1}}', '{"status":{"eq":"UNKNOWN"}}', "{" + " " * 10_000 + "}",
     '{"code":{"eq":"4111111111111111"}}'],
)  # fmt: skip
def test_what_is_no_filter_or_holds_a_card_number_exports_nothing(house: House, filter: str) -> None:
    before = len(house.appended)
    assert refusal(asked(house, "operator", filter)) == (400, "BAD_FILTER")
    assert len(house.appended) == before


def test_who_may_not_export_or_is_nobody_gets_no_file(house: House) -> None:
    """SEC-03"""
    assert refusal(asked(house, "integrator")) == (403, "FORBIDDEN")
    assert refusal(asked(house, "nobody")) == (401, "TOKEN_UNTRUSTED")
    assert house.client.get(exports.ACTIVITIES_PATH).status_code == 401
    posted = house.client.post(exports.ACTIVITIES_PATH, headers={"authorization": "Bearer operator"})
    assert refusal(posted) == (405, "METHOD_NOT_ALLOWED")


def test_more_rows_than_a_file_may_have_are_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [drafted(house)["id"] for _ in range(3)]
    monkeypatch.setattr(exports, "ROWS_MAX", 2)
    before = len(house.appended)
    assert refusal(asked(house, "operator", {"id": {"in": made}})) == (422, "EXPORT_TOO_LARGE")
    assert len(house.appended) == before
    assert len(sheet(house, "operator", {"id": {"in": made[:2]}})) == 2


def test_too_many_files_at_once_are_refused_for_now(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "AT_ONCE_MAX", 0)
    answer = asked(house, "operator")
    assert refusal(answer) == (503, "EXPORTS_BUSY")
    assert answer.headers["retry-after"]


def test_no_file_is_left_behind(house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The folder goes when the last byte is sent, or when there is nothing to send."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    activity = drafted(house)
    sheet(house, "operator", {"code": {"eq": activity["code"]}})
    asked(house, "operator", "{")
    eventually(lambda: not list(tmp_path.iterdir()))
