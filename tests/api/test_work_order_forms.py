"""Work orders as documents: what was shown is what leaves, and who took it is on record."""

import time
from typing import Any

from api.work_order_forms import FORMS_PATH
from tests.api.house import House
from tests.api.orders import ORDER, content, drafted, whole

RECORD = "subject filter rows recordedBy recordedAt"


def taken(house: House, user: str, id_: str, version: int | None = None, **headers: str) -> Any:
    given = {} if version is None else {"version": version}
    sent = {"authorization": f"Bearer {user}", **headers}
    return house.client.get(f"{FORMS_PATH}/{id_}", params=given, headers=sent)


def downloads(house: House, id_: str) -> list[Any]:
    filter = f'{{ filter: {{ contains: "{id_}" }} }}'
    document = f"query {{ downloads(filter: {filter}) {{ nodes {{ {RECORD} }} }} }}"
    nodes = house.data("auditor", document)["downloads"]["nodes"]
    return [node for node in nodes if id_ in node["filter"]]


def test_a_document_equals_the_version_shown_and_its_download_is_on_record(house: House) -> None:
    """WO-06: version 1 too, after it was edited; with user and time."""
    given = content(house)
    made = house.done("operator", "draftWorkOrder", ORDER, **given)
    house.done("operator", "reviseWorkOrder", ORDER, id=made["id"], **{**given, "name": "Narrower"})
    fields = "number name revision version segmentationRules dataTimeframe { dataFrom dataTo } outputFields"
    for version, name in ((None, "Narrower"), (1, "Diners of March")):
        answer = taken(house, "auditor", made["id"], version)
        assert answer.status_code == 200, answer.text
        shown = whole(house, "auditor", made["id"], fields, **({"version": version} if version else {}))
        form = answer.json()
        assert {key: form[key] for key in shown} == shown
        assert form["name"] == name
        filename = f"{made['number']}-v{form['version']}.json"
        assert answer.headers["content-disposition"] == f'attachment; filename="{filename}"'
    deadline = time.monotonic() + 20
    while len(records := downloads(house, made["id"])) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [(record["recordedBy"], record["subject"], record["rows"]) for record in records] == [
        ("auditor", "work_orders", 1)
    ] * 2
    assert all(record["recordedAt"] for record in records)


def test_as_text_what_people_typed_stays_in_its_cell(house: House) -> None:
    """WO-06"""
    made = drafted(house, segmentationRules="a | b\n<script>", remark="x")
    for language, label in (("zh", "细分规则"), ("en", "Segmentation rules")):
        answer = taken(
            house, "operator", made["id"], **{"accept": "text/markdown", "accept-language": language}
        )
        assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
        assert answer.text.startswith(f"# {made['number']}\n")
        assert f"| {label} | a \\| b<br>&lt;script> |" in answer.text


def test_what_is_not_there_or_not_in_sight_is_not_given_out(house: House) -> None:
    """WO-06: and nothing is recorded."""
    made = drafted(house)
    for user, id_, version in (
        ("branch", made["id"], None),
        ("operator", "wo_" + "0" * 32, None),
        ("operator", made["id"], 99),
        ("operator", "act_x", None),
    ):
        assert taken(house, user, id_, version).status_code == 404
    assert taken(house, "nobody", made["id"]).status_code == 401
    assert taken(house, "integrator", made["id"]).status_code == 403
    assert house.client.get(f"{FORMS_PATH}/{made['id']}", params={"version": "x"},
                            headers={"authorization": "Bearer operator"}).status_code == 400  # fmt: skip
    assert downloads(house, made["id"]) == []
