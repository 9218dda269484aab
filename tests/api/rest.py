"""Asking REST as another system does."""

from typing import Any
from uuid import uuid4

import httpx

from tests.api.campaigns import activity_type, code, cost_type, plan
from tests.api.house import House

ACTIVITIES = "/v1/activities"


def sent(
    house: House, user: str, method: str, path: str, body: Any = None, key: str | None = "", **headers: str
) -> httpx.Response:
    """`key` "" is a new one, None is none; what is bytes goes out as it is."""
    given = {"authorization": f"Bearer {user}", **headers}
    if method == "POST":
        given = {"content-type": "application/json", **given}
        if key is not None:
            given["idempotency-key"] = key or uuid4().hex
    content = {"content": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
    return house.client.request(method, path, headers=given, **content)


def draft(house: House, **given: Any) -> dict[str, Any]:
    """A sound body."""
    made = plan(activity_type(house)["id"], cost_type(house)["id"])
    return {"code": code("ACT"), **made, **given}


def created(house: House, user: str = "operator", **given: Any) -> Any:
    answer = sent(house, user, "POST", ACTIVITIES, draft(house, **given))
    assert answer.status_code == 201, answer.text
    return answer.json()


def problem(answer: httpx.Response, status: int) -> Any:
    """The problem, which must be well formed."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["type"] == f"urn:cardinal:problem:{told['code']}"
    assert told["requestId"] == answer.headers["x-request-id"]
    assert told["title"]
    return told


def faults(answer: httpx.Response, status: int = 422) -> set[tuple[str, str]]:
    """Code and place of each."""
    told = problem(answer, status)
    assert told["code"] == "INVALID_INPUT"
    assert all(each["detail"] for each in told["errors"])
    return {(each["code"], each.get("pointer", each.get("parameter"))) for each in told["errors"]}
