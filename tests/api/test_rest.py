"""REST under /v1: activities as other systems create, submit and follow them, and what they are refused."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import psycopg
import pytest

from api import services
from api.rates import EXPORT_POINTS, MUTATION_POINTS, RateRules
from api.rest import operations
from api.rest.activities import ACTIVITIES
from api.rest.contract import CONTRACT, OPERATIONS
from api.rest.openapi import document
from application.access import Permission, Principal
from tests import openapi_document
from tests.api import house as houses
from tests.api.campaigns import APPROVAL, activity_type, plan, verdict
from tests.api.house import House, running_house
from tests.api.rest import created, draft, faults, problem, sent


def test_an_activity_is_created_once_however_often_it_is_sent(house: House) -> None:
    """INT-01: 201 with its place; the same key and input get the same answer, also when it has changed."""
    body = draft(house, goal="USE", channels=["APP"])
    first = sent(house, "operator", "POST", ACTIVITIES, body, "erp-1")
    assert first.status_code == 201, first.text
    made = first.json()
    assert first.headers["location"] == f"{ACTIVITIES}/{made['id']}"
    assert (made["status"], made["version"], made["code"]) == ("DRAFT", 1, body["code"])
    assert made["budget"] == {"amount": "90000.00", "currency": "CNY"}
    assert (made["goal"], made["channels"], made["responsible"]) == ("USE", ["APP"], "operator")
    house.done("operator", "submitActivity", "activity { status }", id=made["id"])
    shuffled = json.dumps(dict(reversed(body.items())), indent=3).encode()
    again = sent(house, "operator", "POST", ACTIVITIES, shuffled, "erp-1")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["location"] == first.headers["location"]
    there = sent(house, "operator", "GET", first.headers["location"]).json()
    assert (there["status"], there["version"]) == ("PENDING_RESEARCH", 2)
    for verb in ("withdraw", "delete"):
        assert house.do("operator", f"{verb}Activity", id=made["id"])["userErrors"] == []
    gone = sent(house, "operator", "POST", ACTIVITIES, body, "erp-1")
    assert (gone.status_code, gone.content) == (201, first.content)
    assert problem(sent(house, "operator", "GET", first.headers["location"]), 404)


def test_a_key_with_another_input_is_refused_and_without_a_key_nothing_is_done(house: House) -> None:
    """INT-01, SEC-03: a key is its user's own"""
    body = draft(house)
    sent(house, "operator", "POST", ACTIVITIES, body, "erp-2")
    before = len(house.appended)
    other = sent(house, "operator", "POST", ACTIVITIES, {**body, "name": "Other"}, "erp-2")
    assert problem(other, 422)["code"] == "KEY_REUSED"
    assert problem(sent(house, "operator", "POST", ACTIVITIES, body, None), 400)["code"] == "KEY_REQUIRED"
    assert problem(sent(house, "operator", "POST", ACTIVITIES, body, "x" * 256), 400)["code"] == "BAD_KEY"
    headers = [("authorization", "Bearer operator"), ("idempotency-key", "a"), ("idempotency-key", "b")]
    assert problem(house.client.post(ACTIVITIES, json=body, headers=headers), 400)["code"] == "BAD_KEY"
    assert len(house.appended) == before
    mine = sent(house, "branch", "POST", ACTIVITIES, draft(house), "erp-2")
    assert mine.json()["orgUnit"] == "SH"


def test_many_who_send_the_same_at_once_get_one_activity(house: House) -> None:
    """INT-01"""
    body, before = draft(house), len(house.appended)
    with ThreadPoolExecutor(12) as pool:
        answers = list(
            pool.map(lambda _: sent(house, "operator", "POST", ACTIVITIES, body, "erp-3"), range(12))
        )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len(house.appended) == before + 1


def test_all_faults_come_at_once_with_their_places_in_both_languages(house: House) -> None:
    """INT-01, INT-05: the validation is everybody's"""
    body = draft(house, code="a b", endsAt="2026-01-01T00:00:00+08:00", name="")
    body["rewards"].append({"value": "2"})
    body["costLines"][0]["amount"]["amount"] = "1,5"
    body["formValues"] = [{"name": "x", "value": "1"}]
    before = len(house.appended)
    found = sent(house, "operator", "POST", ACTIVITIES, body)
    assert faults(found) == {
        ("BAD_CODE", "/code"),
        ("REQUIRED", "/name"),
        ("END_NOT_AFTER_START", "/endsAt"),
        ("REQUIRED", "/rewards/1/rewardTypeId"),
        ("AMOUNT_NOT_FINITE", "/costLines/0/amount/amount"),
        ("UNKNOWN_FIELD", "/formValues/0"),
    }
    english = {each["detail"] for each in found.json()["errors"]}
    chinese = sent(house, "operator", "POST", ACTIVITIES, body, **{"accept-language": "zh-CN"})
    assert chinese.headers["content-language"] == "zh"
    assert not english & {each["detail"] for each in chinese.json()["errors"]}
    assert chinese.json()["title"] == "输入有误，详见 errors。"
    assert len(house.appended) == before
    payload = house.do("operator", "draftActivity", **body)
    assert {each["code"] for each in payload["userErrors"]} == {code for code, _ in faults(found)}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": 5, "limits": {}}, {("BAD_VALUE", "/name"), ("UNKNOWN_MEMBER", "/limits")}),
        ({"startsAt": "2027-03-01", "channels": ["FAX"]},
         {("BAD_VALUE", "/startsAt"), ("NOT_A_CHOICE", "/channels/0")}),
        ({"budget": {"currency": "CNY"}}, {("REQUIRED", "/budget/amount")}),
        ({"activityTypeRevision": -1}, {("OUT_OF_RANGE", "/activityTypeRevision")}),
        ({"activityTypeRevision": True}, {("BAD_VALUE", "/activityTypeRevision")}),
        ({"endsAt": "0001-01-01T00:00:00+14:00"}, {("BAD_VALUE", "/endsAt")}),
        ({"costLines": [{}] * 201}, {("TOO_MANY", "/costLines")}),
        ({"a/b~c": 1}, {("UNKNOWN_MEMBER", "/a~1b~0c")}),
        ({"name": "N\0ul", "description": "4111111111111111"},
         {("BAD_CHARACTERS", "/name"), ("CARD_NUMBER_IN_TEXT", "/description")}),
        ({"activityTypeId": "at_nothing\0", "departmentId": "dp_" + "0" * 32},
         {("NOT_FOUND", "/activityTypeId"), ("NOT_FOUND", "/departmentId")}),
    ],
)  # fmt: skip
def test_what_is_not_of_its_form_is_refused_where_it_is(
    house: House, given: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    """INT-01, INT-05"""
    assert faults(sent(house, "operator", "POST", ACTIVITIES, draft(house, **given))) == expected


def test_it_goes_through_the_same_approval(house: House) -> None:
    """INT-01, APR-04: submitted once, and its status seen as it changes, by tag."""
    made = created(house)
    place = f"{ACTIVITIES}/{made['id']}"
    stale = sent(house, "operator", "POST", f"{place}/submission", {"expectedVersion": 7})
    assert problem(stale, 409)["code"] == "VERSION_CONFLICT"
    first = sent(house, "operator", "POST", f"{place}/submission", {"expectedVersion": 1}, "submit")
    assert (first.status_code, first.json()["status"]) == (200, "PENDING_RESEARCH")
    seen = sent(house, "operator", "GET", f"{place}/status")
    tag = {"if-none-match": seen.headers["etag"]}
    assert seen.json()["approvalId"] == first.json()["approvalId"]
    unchanged = sent(house, "operator", "GET", f"{place}/status", **tag)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    query = "query ($id: ID!) { activity(id: $id) { approval { id subjectRevision contentHash } } }"
    approval = house.data("operator", query, id=made["id"])["activity"]["approval"]
    given = verdict(approval, "RESEARCH", reason="Too dear")
    house.done("researcher", "reject", APPROVAL, **given)
    changed = sent(house, "operator", "GET", f"{place}/status", **tag)
    assert (changed.status_code, changed.json()["status"]) == (200, "RESEARCH_REJECTED")
    assert changed.json()["reason"] == "Too dear"
    assert changed.headers["etag"] != seen.headers["etag"]
    again = sent(house, "operator", "POST", f"{place}/submission", {"expectedVersion": 1}, "submit")
    assert again.content == first.content
    anew = sent(house, "operator", "POST", f"{place}/submission", {})
    assert problem(anew, 409)["code"] == "NOT_SUBMITTABLE"


def test_a_branch_finds_its_own_only_and_changes_nothing_elsewhere(house: House) -> None:
    """SEC-03"""
    ours, theirs = created(house, "branch"), created(house)
    place = f"{ACTIVITIES}/{theirs['id']}"
    for path in (place, f"{place}/status", f"{ACTIVITIES}/act_{'0' * 32}", f"{ACTIVITIES}/x%00"):
        assert problem(sent(house, "branch", "GET", path), 404)["code"] == "NOT_FOUND"
    hidden = sent(house, "branch", "POST", f"{place}/submission", {})
    assert problem(hidden, 404)["code"] == "NOT_FOUND"
    found = sent(house, "branch", "GET", f"{ACTIVITIES}?code={theirs['code']}&code={ours['code']}")
    assert faults(found, 400) == {("BAD_VALUE", "code")}
    assert sent(house, "branch", "GET", f"{ACTIVITIES}?code={theirs['code']}").json() == {"items": []}
    [item] = sent(house, "branch", "GET", f"{ACTIVITIES}?code={ours['code']}").json()["items"]
    assert item["id"] == ours["id"]
    tag = sent(house, "operator", "GET", place).headers["etag"]
    assert sent(house, "branch", "GET", place, **{"if-none-match": tag}).status_code == 404


LISTS = ("activity-types", "departments", "cost-types", "reward-types")


@pytest.mark.parametrize("path", LISTS)
def test_what_a_plan_refers_to_is_listed_and_shown(house: House, path: str) -> None:
    """INT-01, PAR-01: by code and state, with the revision that a plan gives."""
    body = created(house)
    refers = {"activity-types": body["activityTypeId"], "departments": body["departmentId"],
              "cost-types": body["costLines"][0]["costTypeId"],
              "reward-types": body["rewards"][0]["rewardTypeId"]}  # fmt: skip
    one = sent(house, "integrator", "GET", f"/v1/{path}/{refers[path]}")
    assert (one.status_code, one.json()["id"], one.json()["revision"]) == (200, refers[path], 1), one.text
    query = f"/v1/{path}?code={one.json()['code']}&status=ENABLED&limit=1"
    assert sent(house, "integrator", "GET", query).json() == {"items": [one.json()]}
    assert sent(house, "integrator", "GET", query.replace("ENABLED", "DISABLED")).json() == {"items": []}
    tag = {"if-none-match": one.headers["etag"]}
    assert sent(house, "integrator", "GET", f"/v1/{path}/{refers[path]}", **tag).status_code == 304
    assert problem(sent(house, "integrator", "GET", f"/v1/{path}/{body['id']}"), 404)["code"] == "NOT_FOUND"
    if path == "reward-types":
        assert (one.json()["unitCost"], one.json()["unitCostMasked"]) == (None, "NO_PERMISSION")
        seen = sent(house, "operator", "GET", f"/v1/{path}/{refers[path]}").json()
        assert (seen["unitCost"], seen["unitCostMasked"]) == ("0.002", None)


def test_a_reader_gives_the_position_of_what_he_wrote(house: House) -> None:
    """api.md 6: it is shown, or he is told to come again; what is no position is a fault."""
    made = sent(house, "operator", "POST", ACTIVITIES, draft(house))
    position = made.headers["cardinal-position"]
    place = f"{made.headers['location']}/status?minPosition={position}"
    assert sent(house, "operator", "GET", place).json()["version"] == 1
    listed = f"{ACTIVITIES}?code={made.json()['code']}&minPosition={position}"
    assert len(sent(house, "operator", "GET", listed).json()["items"]) == 1
    for text in ("x", "", position[:-1], "F" * 24, "8" + "0" * 23):
        answer = sent(house, "operator", "GET", f"{ACTIVITIES}?minPosition={text}")
        assert faults(answer, 400) == {("BAD_VALUE", "minPosition")}


def test_who_asks_for_a_position_that_is_not_reached_comes_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """api.md 6"""
    monkeypatch.setattr(services, "MIN_POSITION_WAIT_S", 0.05)
    for path in (ACTIVITIES, f"{ACTIVITIES}/act_0", "/v1/departments"):
        late = sent(house, "operator", "GET", f"{path}?minPosition=7{'0' * 23}")
        assert problem(late, 503)["code"] == "BEHIND"
        assert late.headers["retry-after"] == "1"


def test_permissions_and_masks_are_those_of_graphql(house: House) -> None:
    """SEC-03: a program without the right to budgets creates with one, and does not see it."""
    refused = problem(sent(house, "auditor", "POST", ACTIVITIES, draft(house)), 403)
    assert refused["code"] == "FORBIDDEN"
    assert "operator" in refused["title"]
    made = created(house)
    seen = sent(house, "integrator", "GET", f"{ACTIVITIES}/{made['id']}").json()
    assert (seen["budget"], seen["costLines"], seen["costTotal"]) == (None, None, None)
    amounts = ("budget", "costLines", "costTotal")
    assert [made[f"{name}Masked"] for name in amounts] == [None] * 3
    reasons = {f"{name}Masked": "NO_PERMISSION" for name in amounts}
    assert seen == {**made, **dict.fromkeys(amounts), **reasons}
    nobody = sent(house, "nobody", "GET", ACTIVITIES)
    assert problem(nobody, 401)["code"] == "TOKEN_UNTRUSTED"
    assert nobody.headers["www-authenticate"].startswith("Bearer")


def test_a_list_is_paged_by_links_without_gap_or_double(house: House) -> None:
    type_ = activity_type(house)["id"]
    made = [created(house, **plan(type_, name=f"Page {number}"))["id"] for number in range(5)]
    since = sent(house, "operator", "GET", f"{ACTIVITIES}/{made[0]}").json()["changedAt"]
    where = f"{ACTIVITIES}?limit=2&status=DRAFT&status=RUNNING&changedSince={since}"
    found, pages = [], 0
    while where:
        answer = sent(house, "operator", "GET", where)
        assert answer.status_code == 200, answer.text
        found += [item["id"] for item in answer.json()["items"]]
        where, pages = answer.links.get("next", {}).get("url", ""), pages + 1
    assert [id_ for id_ in found if id_ in made] == made
    assert len(set(found)) == len(found)
    assert pages == -(-len(found) // 2)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=0", {("OUT_OF_RANGE", "limit")}),
        ("limit=101", {("OUT_OF_RANGE", "limit")}),
        ("limit=1&limit=2", {("BAD_VALUE", "limit")}),
        ("status=GONE&size=1", {("NOT_A_CHOICE", "status.0"), ("UNKNOWN_MEMBER", "size")}),
        ("changedSince=yesterday", {("BAD_VALUE", "changedSince")}),
        ("code=%00", {("BAD_CHARACTERS", "code")}),
    ],
)
def test_what_is_no_parameter_is_told(house: House, query: str, expected: set[tuple[str, str]]) -> None:
    assert faults(sent(house, "operator", "GET", f"{ACTIVITIES}?{query}"), 400) == expected


@pytest.mark.parametrize("after", ["x", "%00", "%ff%fe", "WyJ4IiwgMV0=", "9" * 3_000])
def test_a_cursor_of_something_else_is_refused(house: House, after: str) -> None:
    answer = sent(house, "operator", "GET", f"{ACTIVITIES}?after={after}")
    assert problem(answer, 400)["code"] == "BAD_CURSOR"


@pytest.mark.parametrize(
    ("body", "headers", "status", "expected"),
    [
        (b"x" * 1_000_001, {}, 413, "BODY_TOO_LARGE"),
        (b'{"code": "\xff"}', {}, 400, "BAD_REQUEST"),
        (b'{"code": "\\ud800"}', {}, 400, "BAD_REQUEST"),
        (b'{"a":' * 50_000, {}, 400, "BAD_REQUEST"),
        (b"[" * 100_000, {}, 400, "BAD_REQUEST"),
        (b'{"name": ' + b"9" * 100_000 + b"}", {}, 400, "BAD_REQUEST"),
        (b"", {}, 400, "BAD_REQUEST"),
        (b"[1]", {}, 422, "INVALID_INPUT"),
        (b"{}", {"content-type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", {"content-type": "application/json; charset=utf-16"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", {"x-large": "x" * 40_000}, 431, "TOO_MANY_HEADERS"),
    ],
)
def test_hostile_bodies_are_problems(
    house: House, body: bytes, headers: dict[str, str], status: int, expected: str
) -> None:
    answer = sent(house, "operator", "POST", ACTIVITIES, body, **headers)
    assert problem(answer, status)["code"] == expected


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", ACTIVITIES, "GET, HEAD, POST"),
        ("DELETE", f"{ACTIVITIES}/act_0", "GET, HEAD"),
        ("GET", f"{ACTIVITIES}/act_0/submission", "POST"),
        ("OPTIONS", f"{ACTIVITIES}/act_0/status", "GET, HEAD"),
    ],
)
def test_a_method_that_is_not_there_is_told_those_that_are(
    house: House, method: str, path: str, allowed: str
) -> None:
    answer = sent(house, "operator", method, path)
    assert problem(answer, 405)["code"] == "METHOD_NOT_ALLOWED"
    assert answer.headers["allow"] == allowed


def test_a_place_that_is_not_there_is_a_problem_and_a_head_has_no_body(house: House) -> None:
    for path in ("/v1/", "/v1/activities/", "/v1/activities/x/y", "/v1/activities/x/status/"):
        assert problem(sent(house, "operator", "GET", path), 404)["code"] == "NOT_FOUND"
    head = sent(house, "operator", "HEAD", f"{ACTIVITIES}/{created(house)['id']}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"]


# --- The contract ------------------------------------------------------------


def test_the_committed_contract_is_what_is_served(house: House) -> None:
    """INT-05: a change shows in the diff: `python -m tests.openapi_document`."""
    assert openapi_document.PAGE.read_text() == openapi_document.generated()
    assert sent(house, "integrator", "GET", CONTRACT).json() == openapi_document.committed()
    assert problem(sent(house, "nobody", "GET", CONTRACT), 401)


def _without_budget(contract: Any) -> None:
    del contract["components"]["schemas"]["Activity"]["properties"]["budget"]


def _with_another_type(contract: Any) -> None:
    contract["components"]["schemas"]["Money"]["properties"]["amount"] = {"type": "number"}


def _asking_for_more(contract: Any) -> None:
    contract["components"]["schemas"]["ActivityDraft"]["required"].append("goal")


def _without_status(contract: Any) -> None:
    del contract["paths"][f"{ACTIVITIES}/{{id}}/status"]


def _saying_more(contract: Any) -> None:
    contract["components"]["schemas"]["Activity"]["properties"]["more"] = {"type": "string"}
    contract["components"]["schemas"]["ActivityDraft"]["properties"]["more"] = {"type": "string"}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (_without_budget, ["Activity.budget is gone or of another type"]),
        (_with_another_type, ["Money.amount is gone or of another type"]),
        (_asking_for_more, ["ActivityDraft: goal must be there"]),
        (_without_status, [f"get {ACTIVITIES}/{{id}}/status is gone"]),
        (_saying_more, []),
    ],
)
def test_a_breaking_change_of_the_contract_is_found(change: Callable[[Any], None], found: list[str]) -> None:
    """INT-05"""
    old, new = document(OPERATIONS), deepcopy(document(OPERATIONS))
    change(new)
    assert list(openapi_document.breaking(old, new)) == found
    assert list(openapi_document.breaking(old, old)) == []


# --- Limits ------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(make_database: Callable[..., str], migrated_template: str) -> Iterator[tuple[House, str]]:
    """A house with small buckets, and where its database is; `blind` may plan and read nothing."""
    url, rates = make_database(migrated_template), RateRules(capacity=1_000, restored_per_s=1)
    plans = frozenset({Permission.ACTIVITIES_PLAN})
    blind = Principal("blind", frozenset(), "HO", houses.UNITS, system_permissions=plans)
    before = houses.verify
    houses.verify = lambda token: blind if token == "blind" else before(token)
    try:
        with running_house(url, rates=rates) as running:
            yield running, url
    finally:
        houses.verify = before


def test_nothing_is_done_for_who_could_not_be_told_of_it(small: tuple[House, str]) -> None:
    """SEC-03"""
    house, _ = small
    body, before = draft(house), len(house.appended)
    refused = problem(sent(house, "blind", "POST", ACTIVITIES, body), 403)
    assert refused["code"] == "FORBIDDEN"
    assert problem(sent(house, "blind", "GET", ACTIVITIES), 403)["code"] == "FORBIDDEN"
    assert len(house.appended) == before


def test_what_is_recorded_and_not_yet_to_be_read_is_answered_when_it_is_sent_again(
    small: tuple[House, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """INT-01: the key makes it safe."""
    house, url = small
    body, before = draft(house), len(house.appended)
    monkeypatch.setattr(operations, "READ_OWN_WRITE_S", 0.3)
    with psycopg.connect(url) as holding:
        holding.execute("lock table projection.checkpoints in exclusive mode")
        late = sent(house, "operator", "POST", ACTIVITIES, body, "late")
    assert problem(late, 503)["code"] == "BEHIND"
    assert late.headers["retry-after"] == "1"
    monkeypatch.undo()
    again = sent(house, "operator", "POST", ACTIVITIES, body, "late")
    assert (again.status_code, again.json()["code"]) == (201, body["code"])
    assert len(house.appended) == before + 1


def test_requests_and_files_are_paid_from_the_bucket_of_graphql(small: tuple[House, str]) -> None:
    """INT-08, SEC-03: one bucket for all ways in; a list costs by its size, what is not paid is not done."""
    house, _ = small

    def left(user: str) -> int:
        answer = house.answer(user, "{ __typename }")
        return int(answer["extensions"]["cost"]["available"])

    full = left("auditor")
    sent(house, "auditor", "GET", f"{ACTIVITIES}?limit=100")
    rest = left("auditor")
    sent(house, "auditor", "GET", f"{ACTIVITIES}?limit=1")
    assert full - rest > 50 > rest - left("auditor")
    before = left("auditor")
    files = ("activities.xlsx", "work-orders/x", "points-jobs/x/file")
    for name in files:
        house.client.get(f"/exports/{name}", headers={"authorization": "Bearer auditor"})
    assert left("auditor") <= before - len(files) * EXPORT_POINTS
    before, appended = left("operator"), len(house.appended)
    sent(house, "operator", "POST", ACTIVITIES, {})
    assert before - left("operator") >= MUTATION_POINTS
    while (answer := sent(house, "operator", "GET", f"{ACTIVITIES}?limit=100")).status_code == 200:
        pass
    told = problem(answer, 429)
    assert (told["code"], int(answer.headers["retry-after"]) > 0) == ("RATE_LIMITED", True)
    assert told["cost"]["available"] < told["cost"]["requested"]
    refused = house.client.get("/exports/activities.xlsx", headers={"authorization": "Bearer operator"})
    assert (refused.status_code, refused.headers["retry-after"] > "0") == (429, True)
    assert house.answer("operator", "{ __typename }")["data"], "a cheap one is still to be had"
    assert len(house.appended) == appended
