"""Segment definitions, grants, runs and result files through the API, with the real engine."""

import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest

from application.shared.engines import Engine
from infrastructure.database import pool
from infrastructure.duckdb_engine import DuckDBEngine
from infrastructure.warehouse import Warehouse
from infrastructure.warehouse_sample import SampleSize
from tests.api.campaigns import APPROVAL, code, verdict
from tests.api.house import UNITS, House, running_house
from tests.api.segments import (
    CUSTOMERS,
    DEFINITION,
    RUN,
    VALUES,
    Worker,
    approved,
    content,
    drafted,
    granted,
    requested,
    submitted,
)

WHOLE_RUN = """query ($id: ID!) { segmentRun(id: $id) { status percent attempt rowCount byteCount durationMs
    columns { name type isPersonal } contentHash snapshot failure failureValues { name value } dropped reason
    definitionRevision definition { code } parameters { name type value } retention cleanedUpAt
    history { nodes { eventType } } } }"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("home")
    warehouse = Warehouse(folder / "warehouse", sorted(UNITS))
    warehouse.generate(date(2026, 3, 1), SampleSize(500, 2_000))
    return DuckDBEngine(warehouse, folder / "results")


@pytest.fixture(scope="module")
def url(make_database: Callable[..., str], migrated_template: str) -> str:
    return make_database(migrated_template)


@pytest.fixture(scope="module")
def house(url: str, engine: Engine) -> Iterator[House]:
    with running_house(url, engine=engine) as running:
        granted(running)
        yield running


@pytest.fixture(scope="module")
def worker(url: str, engine: Engine) -> Iterator[Worker]:
    with pool(url, 4) as connections:
        yield Worker(connections, engine)


def eventually(read: Callable[[], Any]) -> Any:
    """What is read, once there is something: projections follow what a worker and a download record."""
    deadline = time.monotonic() + 30
    while not (found := read()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return found


def whole(house: House, run: Any) -> Any:
    """The run as it is shown, once the projections have seen its end."""

    def read() -> Any:
        shown = house.data("auditor", WHOLE_RUN, id=run["id"])["segmentRun"]
        is_told = shown["history"]["nodes"][-1]["eventType"] == "segment_run.cleaned_up"
        return shown if is_told and shown["cleanedUpAt"] else None

    return eventually(read)


def file(house: House, run: Any, user: str = "operator", query: str = "") -> Any:
    path = f"/exports/segment-runs/{run['id']}{query}"
    return house.client.get(path, headers={"authorization": f"Bearer {user}"})


def test_a_definition_shows_all_that_it_is(house: House) -> None:
    """LOG-01, LOG-09, LOG-19"""
    made = drafted(house)
    assert (made["status"], made["revision"], made["approvedRevision"]) == ("DRAFT", 1, None)
    document = """query ($id: ID!) { segmentDefinition(id: $id) { kind workOrderId name description sql source
        primaryIndex outputs { name isPersonal } parameters { name type } mapping { target source constant
        format width isZeroPadded mask translation { value text } exemption } history { nodes {
        eventType changes {
        field after } } } } }"""
    shown = house.data("auditor", document, id=made["id"])["segmentDefinition"]
    history = shown.pop("history")["nodes"]
    plain = {"source": None, "constant": None, "width": 0, "isZeroPadded": False, "translation": []}
    plain |= {"format": "TEXT", "mask": "BY_CLASS", "exemption": ""}
    given = content()
    assert shown == {
        "kind": "GENERAL",
        "workOrderId": None,
        "parameters": [],
        **given,
        "mapping": [{**plain, **each} for each in given["mapping"]],
    }
    assert [entry["eventType"] for entry in history] == ["segment_definition.drafted"]
    told = {change["field"]: change["after"] for change in history[0]["changes"]}
    assert told["kind"] == "GENERAL"
    assert told["mapping"][0]["mask"] == "BY_CLASS"


def test_every_fault_of_a_draft_is_told_in_its_place(house: House) -> None:
    """LOG-01, LOG-06, LOG-19: without PI refused, PI absent from the output refused, unclassified refused."""
    assert house.refused("operator", "draftSegmentDefinition") == [
        ("REQUIRED", f"input.{name}") for name in ("code", "name", "outputs", "primaryIndex", "source", "sql")
    ]
    bad = content(primaryIndex=["cust_id"], outputs=[{"name": "mobile"}], mapping=[])
    assert house.refused("operator", "draftSegmentDefinition", code=code(), **bad) == [
        ("OUTPUT_UNCLASSIFIED", "input.outputs.0.isPersonal"),
        ("PRIMARY_INDEX_NOT_OUTPUT", "input.primaryIndex.0"),
    ]
    clear = [{"target": "M", "source": "mobile", "mask": "CLEAR"}]
    outputs = [{"name": "customer_id", "isPersonal": False}, {"name": "mobile", "isPersonal": True}]
    bad = content(outputs=outputs, mapping=clear)
    assert ("PERSONAL_UNMASKED", "input.mapping.0.mask") in house.refused(
        "operator", "draftSegmentDefinition", code=code(), **bad
    )


@pytest.mark.parametrize(
    ("sql", "fault", "place"),
    [
        ("drop table customers", "SQL_NOT_ONE_SELECT", "line 1"),
        ("select 1; delete from customers", "SQL_NOT_ONE_SELECT", "line 1"),
        (
            "select customer_id, level,\n mobile as birth_year from customers",
            "SQL_COLUMN_NOT_GRANTED",
            "line 2",
        ),
        ("select customer_id, 'x' as level, 1 as birth_year from cards", "SQL_TABLE_NOT_GRANTED", "line 1"),
    ],
)
def test_the_gate_answers_with_the_place(house: House, sql: str, fault: str, place: str) -> None:
    """LOG-04, LOG-05"""
    payload = house.do("operator", "draftSegmentDefinition", code=code(), **content(sql=sql))
    (error, *_) = payload["userErrors"]
    assert (error["code"], error["path"]) == (fault, ["input", "sql"])
    assert place in error["message"]


def test_work_orders_are_looked_up(house: House) -> None:
    """LOG-01"""
    given = {"code": code(), "kind": "ACTIVITY", **content()}
    assert house.refused("operator", "draftSegmentDefinition", **given) == [("REQUIRED", "input.workOrderId")]
    given["workOrderId"] = "wo_" + "1" * 32
    assert house.refused("operator", "draftSegmentDefinition", **given) == [
        ("WORK_ORDER_NOT_OPEN", "input.workOrderId")
    ]


def test_an_edit_after_approval_is_a_new_revision_beside_the_one_in_force(house: House) -> None:
    """LOG-02, APR-07, APR-09"""
    made = approved(house, drafted(house))
    assert (made["status"], made["revision"], made["approvedRevision"]) == ("APPROVED", 1, 1)
    revised = house.done(
        "operator", "reviseSegmentDefinition", DEFINITION, id=made["id"], **content(name="Second")
    )
    assert (revised["status"], revised["revision"], revised["approvedRevision"]) == ("DRAFT", 2, 1)
    approval = submitted(house, made)["approval"]
    inbox = """{ approvalInbox(box: TODO, first: 100) { nodes { id subject { id
        ... on SegmentDefinition { name sql } } } } }"""
    items = house.data("researcher", inbox)["approvalInbox"]["nodes"]
    (item,) = [each for each in items if each["id"] == approval["id"]]
    assert (item["subject"]["id"], item["subject"]["name"]) == (made["id"], "Second")
    rejected = verdict(approval, "RESEARCH", reason="too broad")
    house.done("researcher", "reject", APPROVAL, **rejected)
    document = f"query ($id: ID!) {{ {DEFINITION.replace('{', '(id: $id) { reason', 1)} }}"
    shown = house.data("operator", document, id=made["id"])["segmentDefinition"]
    assert (shown["status"], shown["approvedRevision"], shown["reason"]) == (
        "RESEARCH_REJECTED", 1, "too broad",
    )  # fmt: skip


def test_only_what_is_granted_is_offered(house: House) -> None:
    """LOG-05: a source that is not granted is not offered and is refused by the API."""
    document = "{ dataSources { code tables { name columns { name type isPersonal } } } }"
    assert house.data("branch", document)["dataSources"] == []
    assert house.refused("branch", "draftSegmentDefinition", code=code(), **content()) == [
        ("SOURCE_NOT_GRANTED", "input.source")
    ]
    grant = granted(house, "SH", columns=["customer_id", "level"])
    assert house.data("branch", document)["dataSources"] == [
        {"code": "bank", "tables": [{"name": "customers", "columns": [
            {"name": "customer_id", "type": "TEXT", "isPersonal": False},
            {"name": "level", "type": "TEXT", "isPersonal": False}]}]}
    ]  # fmt: skip
    everything = house.data("admin", document)["dataSources"][0]["tables"]
    assert {"name": "mobile", "type": "TEXT", "isPersonal": True} in everything[0]["columns"]
    revoked = house.done("admin", "revokeSource", "sourceGrant { status columns revision }", id=grant["id"])
    assert revoked == {"status": "REVOKED", "columns": [], "revision": 2}
    assert house.data("branch", document)["dataSources"] == []


def test_grants_are_the_administrators(house: House) -> None:
    """LOG-05"""
    given = {"orgUnit": "SH", "source": "bank", "table": "customers", "columns": CUSTOMERS}
    document = "mutation ($input: GrantSourceInput!) { grantSource(input: $input) { position } }"
    answer = house.answer("operator", document, input=given)
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert house.refused("admin", "grantSource", **{**given, "table": "salaries"}) == [
        ("UNKNOWN_TABLE", "input.table")
    ]
    assert house.refused("admin", "grantSource", **given, expectedVersion=99) == [
        ("VERSION_CONFLICT", "input.expectedVersion")
    ]


def test_a_run_shows_its_figures_and_earlier_results_stay(house: House, worker: Worker) -> None:
    """LOG-07, LOG-10, LOG-11, LOG-17"""
    definition = approved(house, drafted(house))
    run = requested(house, definition)
    assert (run["status"], run["isTrial"], run["definitionRevision"]) == ("QUEUED", False, 1)
    assert house.refused(
        "operator", "requestSegmentRun", definitionId=definition["id"], parameters=VALUES
    ) == [("RUN_ALREADY_LIVE", "input.definitionId")]
    worker.perform(run)
    shown = whole(house, run)
    assert (shown["status"], shown["percent"], shown["attempt"]) == ("SUCCEEDED", 100, 1)
    assert int(shown["rowCount"]) > 100
    assert [each["name"] for each in shown["columns"]] == ["customer_id", "level", "birth_year"]
    assert shown["parameters"] == [{"name": "data_to", "type": "DATE", "value": "2026-03-01"}]
    assert shown["retention"] == "RESULT"
    document = "query ($id: ID!) { segmentRun(id: $id) { endedAt keptUntil resultDeletedAt } }"
    kept = house.data("auditor", document, id=run["id"])["segmentRun"]
    years = int(kept["keptUntil"][:4]) - int(kept["endedAt"][:4])
    assert (years, kept["resultDeletedAt"]) == (5, None)
    assert len(shown["contentHash"]) == 64
    assert shown["history"]["nodes"][-1]["eventType"] == "segment_run.cleaned_up"
    again = requested(house, definition)
    worker.perform(again)
    assert whole(house, again)["contentHash"] == shown["contentHash"], "the same data and values"
    document = "query ($id: ID!) { segmentDefinition(id: $id) { runs { nodes { id rowCount } } } }"
    runs = house.data("auditor", document, id=definition["id"])["segmentDefinition"]["runs"]["nodes"]
    assert [each["id"] for each in runs] == [again["id"], run["id"]]
    assert file(house, run).content == file(house, again).content


def test_an_unapproved_definition_can_only_be_tried(house: House, worker: Worker) -> None:
    """LOG-03"""
    definition = drafted(house)
    given = {"definitionId": definition["id"], "parameters": VALUES}
    assert house.refused("operator", "requestSegmentRun", **given) == [
        ("NOTHING_APPROVED", "input.definitionId")
    ]
    assert house.refused("operator", "trySegmentDefinition", rowLimit=1_001, **given) == [
        ("OUT_OF_RANGE", "input.rowLimit")
    ]
    run = house.done("operator", "trySegmentDefinition", RUN, rowLimit=10, **given)
    worker.perform(run)
    assert (whole(house, run)["rowCount"], run["retention"]) == ("10", "TRIAL")


def test_a_run_that_breaks_its_primary_index_has_failed_and_may_be_retried(
    house: House, worker: Worker
) -> None:
    """LOG-06, LOG-17"""
    definition = approved(house, drafted(house, primaryIndex=["level"]))
    run = requested(house, definition)
    worker.perform(run)
    shown = whole(house, run)
    assert (shown["status"], shown["failure"]) == ("FAILED", "PRIMARY_INDEX_DUPLICATE")
    assert {each["name"] for each in shown["failureValues"]} >= {"offenders"}
    assert house.done("operator", "retrySegmentRun", RUN, id=run["id"])["status"] == "QUEUED"
    stopped = house.done(
        "operator", "terminateSegmentRun", "segmentRun { status reason }", id=run["id"], reason="no use"
    )
    assert stopped == {"status": "TERMINATED", "reason": "no use"}
    worker.perform(run)
    assert house.data("auditor", WHOLE_RUN, id=run["id"])["segmentRun"]["status"] == "TERMINATED"
    assert file(house, run).status_code == 409


def test_what_is_in_use_is_not_deleted(house: House) -> None:
    """LOG-15"""
    definition = approved(house, drafted(house))
    run = requested(house, definition)
    assert house.refused("operator", "deleteSegmentDefinition", id=definition["id"]) == [("IN_USE", "input")]
    house.done("operator", "terminateSegmentRun", RUN, id=run["id"], reason="to delete it")
    assert house.do("operator", "deleteSegmentDefinition", id=definition["id"])["userErrors"] == []
    document = "query ($id: ID!) { segmentDefinition(id: $id) { id } }"
    assert house.data("operator", document, id=definition["id"])["segmentDefinition"] is None


def test_a_result_leaves_by_its_mapping_and_is_recorded(house: House, worker: Worker) -> None:
    """LOG-12: source, target, order, padding, constant and translation, to the byte."""
    definition = approved(
        house,
        drafted(house, sql=content()["sql"] + " and customer_id <= 'C00000003' order by customer_id"),
    )
    run = requested(house, definition)
    worker.perform(run)
    whole(house, run)
    answer = file(house, run)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    header, *lines = answer.text.splitlines()
    assert header == "CUSTNO,LVL,BANK"
    assert lines
    for line in lines:
        customer, level, bank = line.split(",")
        assert customer[:4] == "000C"
        assert len(customer) == 12
        assert level in {"1", "2", "3"}
        assert bank == "CARDINAL"
    other = file(house, run, query="?separator=%7C&header=false&encoding=gb18030")
    assert other.text.splitlines() == [line.replace(",", "|") for line in lines]
    unfit = file(house, run, query="?separator=")
    assert unfit.status_code == 422, "fields that nothing separates need a width"
    document = "{ downloads(last: 2) { totalCount nodes { subject rows recordedBy filter } } }"

    def read() -> Any:
        found = house.data("auditor", document)["downloads"]["nodes"]
        key = run["id"].removeprefix("sr_")
        own = [each for each in found if key in each["filter"].replace("-", "")]
        return own if len(own) == 2 else None

    assert [(each["subject"], each["rows"], each["recordedBy"]) for each in eventually(read)] == [
        ("segment_runs", len(lines), "operator")
    ] * 2


def test_personal_columns_are_masked_in_the_file_unless_exempt(house: House, worker: Worker) -> None:
    """LOG-19"""
    granted(house, columns=[*CUSTOMERS, "mobile"])
    given = {
        "sql": "select customer_id, mobile from customers where opened_on < :data_to and mobile is not null",
        "outputs": [
            {"name": "customer_id", "isPersonal": False},
            {"name": "mobile", "isPersonal": True},
        ],
        "mapping": [
            {"target": "MASKED", "source": "mobile"},
            {"target": "CLEAR", "source": "mobile", "mask": "CLEAR", "exemption": "the mailing house"},
        ],
    }
    definition = approved(house, drafted(house, **given))
    run = requested(house, definition)
    trial = house.done(
        "operator", "trySegmentDefinition", RUN, definitionId=definition["id"], parameters=VALUES
    )
    for each in (run, trial):
        worker.perform(each)
        whole(house, each)
    masked, clear = file(house, run).text.splitlines()[1].split(",")
    assert (masked[-4:], "*" in masked, "*" in clear) == (clear[-4:], True, False)
    masked, clear = file(house, trial).text.splitlines()[1].split(",")
    assert masked == clear, "nobody has approved the exemption of a trial"
    granted(house)


@pytest.mark.parametrize(
    ("user", "query", "status"),
    [("researcher", "", 403), ("branch", "", 404), ("operator", "?separator=x", 400),
     ("operator", "?encoding=ebcdic", 400), ("nobody", "", 401)],
)  # fmt: skip
def test_who_may_not_take_a_result_gets_none(
    house: House, worker: Worker, user: str, query: str, status: int, taken: Any
) -> None:
    """LOG-12, SEC-03"""
    del worker
    assert file(house, taken, user, query).status_code == status


@pytest.fixture(scope="module")
def taken(house: House, worker: Worker) -> Any:
    run = requested(house, approved(house, drafted(house)))
    worker.perform(run)
    return run


def test_a_branch_sees_its_own_definitions_alone(house: House) -> None:
    """LOG-13: one list of all definitions in sight, with kind and state, searched as text."""
    granted(house, "SZ")
    own = drafted(house, name="孤品 unlike others")
    document = """query ($text: String!) { segmentDefinitions(filter: {name: {contains: $text}}) {
        nodes { id kind status } } }"""
    found = house.data("auditor", document, text="孤品")["segmentDefinitions"]["nodes"]
    assert found == [{"id": own["id"], "kind": "GENERAL", "status": "DRAFT"}]
    assert house.data("branch", document, text="孤品")["segmentDefinitions"]["nodes"] == []


def test_integrators_follow_runs(house: House, taken: Any) -> None:
    """ES-07"""
    document = "query ($id: ID!) { events(select: {subject: $id}) { events { type data } } }"
    events = house.data("integrator", document, id=taken["id"])["events"]["events"]
    assert [each["type"] for each in events if each["type"] != "segment_run.progressed"] == [
        "segment_run.requested", "segment_run.started", "segment_run.succeeded", "segment_run.cleaned_up",
    ]  # fmt: skip
    assert events[0]["data"]["parameters"] == {"data_to": "2026-03-01"}


def test_a_process_without_a_warehouse_says_so(cardinal_url: str) -> None:
    with running_house(cardinal_url) as bare:
        document = """mutation ($input: DraftSegmentDefinitionInput!) {
            draftSegmentDefinition(input: $input) { position } }"""
        answer = bare.answer("operator", document, input={"code": "X", **content()})
        assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
