"""Every operation of the schema and every path of the application, for every role and unit.

What each operation asks for is written down here by hand; the operations themselves, their documents and the
rows that they read are taken from the schema, so that a new one fails until somebody has decided upon it.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from inspect import isawaitable
from typing import Any, cast
from uuid import uuid4

import pytest
from graphql import GraphQLError, get_named_type, parse, subscribe
from psycopg_pool import AsyncConnectionPool

from api.context import Context, viewer_of
from api.live_log import LiveLog, Stream
from api.planner.positions import decode
from api.planner.reads import Reads, configure
from api.public_events import public_event
from api.rest import contract as rest
from api.rest.contract import OPERATIONS
from api.result_files import RESULTS_PATH
from api.schema import schema
from application.access import Permission, Principal, Role, to_read, visible
from application.shared.records import BEGINNING, GENESIS, Position, Record, Write
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from tests.api import house as houses
from tests.api.access_matrix import (
    UNITS,
    call,
    id_of,
    is_connection,
    least,
    masked_fields,
    principal_of,
    roots,
    row_of,
    seed,
    shown,
    views,
)
from tests.api.house import KEYED, House, running_house
from tests.api.rest import sent
from tests.application.test_access import MAY
from tests.given import grid
from tests.infrastructure import log_writing
from tests.infrastructure.test_event_codec import GOLDEN

HOLDERS = grid("""
                 operator researcher technologist auditor integrator administrator
records.read     yes      yes        yes          yes     yes        yes
points.read      yes      no         no           yes     no         no
accounts.read    no       no         no           yes     no         yes
persons.read     no       no         yes          yes     no         yes
audit.replay     no       no         no           yes     no         no
events.read      yes      yes        yes          yes     yes        yes
groups.preview   yes      yes        yes          no      no         no
customers.read   yes      no         no           no      no         no
budget.read      yes      yes        yes          yes     no         yes
""")
"""Who has the rights to read."""

ASKS_FOR: Mapping[str, str] = {
    **dict.fromkeys(
        ("pointsEntry", "pointsEntries", "pointsAccount", "pointsAccounts", "pointsContraAccounts"),
        "points.read",
    ),
    **dict.fromkeys(("user", "users", "serviceAccount", "serviceAccounts"), "accounts.read"),
    **dict.fromkeys(("revocations", "sessions", "accessEntries"), "accounts.read"),
    **dict.fromkeys(("erasure", "erasures"), "persons.read"),
    "pendingPoints": "points.read",
    "events": "events.read",
    "replay": "audit.replay",
    "previewCustomerGroup": "groups.preview",
    "groupMembers": "customers.read",
    **dict.fromkeys(("diff", "dataSources", "activityCustomers"), "records.read"),
    **dict.fromkeys(("viewer", "node", "nodes"), ""),
}
"""What the roots of queries ask for that aren't of ordinary records; `node` shows what its kind allows."""

HEAD_OFFICES = frozenset({"ActivityType", "CostType", "ActivityForm", "Department", "RewardType", "User",
                          "BusinessCalendar", "ServiceAccount", "Source", "Password", "Secret",
                          "Tokens", "Erasure"})  # fmt: skip
"""What head office alone keeps, by the ends of the operations' names; webhooks' secrets are each unit's."""

ROUTES: Mapping[str, str] = {
    **dict.fromkeys(("/healthz", "/readyz", "/metrics", "/.well-known/jwks.json"), "anybody"),
    **dict.fromkeys(("/login", "/refresh", "/password", "/token"), "who proves himself"),
    "/partners/points/acknowledgements/{name}": "who proves himself",
    **dict.fromkeys(("/graphql", "/logout"), "who has a token"),
    **dict.fromkeys((operation.path for operation in OPERATIONS), "who has a token"),
    "/exports/activities.xlsx": "exportActivities",
    f"{RESULTS_PATH}/{{id}}": "exportSegmentRun",
    "/exports/work-orders/{id}": "exportWorkOrder",
    "/exports/replays/{id}": "exportReplay",
    "/exports/points-jobs/{id}/{file}": "exportPointsFile",
    **dict.fromkeys((operation.path for operation in rest.OPERATIONS), "by REST"),
}
"""Every path: whom it answers."""

REST_LISTS: Mapping[str, str] = {
    "listActivities": "activity",
    "listActivityTypes": "activity_type",
    "listDepartments": "department",
    "listCostTypes": "cost_type",
    "listRewardTypes": "reward_type",
}
"""The lists of REST, and of which kind of rows they are."""

REST_READS = (
    *REST_LISTS,
    *("getActivity", "getActivityStatus", "getActivityType", "getDepartment", "getCostType"),
    *("getRewardType", "getContract"),
)

BY_REST: Mapping[str, str] = {
    **dict.fromkeys(REST_READS, ""),
    "createActivity": "draftActivity",
    "submitActivity": "submitActivity",
}
"""The operations of REST, and what they do; besides, all of them read records."""


REST: Mapping[str, str] = {
    "createActivity": "draftActivity",
    "submitActivity": "submitActivity",
    **dict.fromkeys(REST_READS, "records.read"),
}
"""The operations of REST: what each asks for."""


MUTATIONS = roots("mutation")


@pytest.fixture(scope="module")
def house(make_database: Callable[..., str], migrated_template: str) -> Iterator[House]:
    """With a row of each view for each unit."""
    url = make_database(migrated_template)
    seed(url)
    before, houses.verify = houses.verify, lambda token: principal_of(token or "")
    try:
        with running_house(url) as running:
            yield running
    finally:
        houses.verify = before


def codes(answer: Any) -> set[str]:
    return {error["extensions"]["code"] for error in answer.get("errors", ())}


def asked_for(root: str) -> str:
    row = row_of(roots("query")[root])
    return ASKS_FOR.get(root, "records.read" if row else "nobody has decided")


# --- Operations x roles ------------------------------------------------------


def test_every_query_is_refused_to_a_role_without_its_permission(house: House) -> None:
    """SYS-03, SEC-03"""
    for root, field in roots("query").items():
        for role in Role:
            found = codes(house.answer(f"{role}@HO", f"{{ {least(root, field)} }}"))
            asked = asked_for(root)
            is_allowed = asked == "" or HOLDERS[asked, role] == "yes"
            assert ("FORBIDDEN" in found) is not is_allowed, (root, role, found)
        found = codes(house.answer("events.read@HO", f"{{ {least(root, field)} }}"))
        assert ("FORBIDDEN" in found) is (asked not in ("", "events.read")), (root, "a program", found)


def test_every_mutation_is_refused_to_a_role_and_a_branch_without_its_permission(house: House) -> None:
    """SYS-03, SYS-07, SEC-03: by the table of tests/application/test_access.py. ES-06: auditors change
    nothing.
    """
    assert {root for root in roots("mutation") if MAY[root, "auditor"] == "yes"} == set()
    for root, field in roots("mutation").items():
        document = f"mutation {{ {least(root, field)} }}"
        is_central = any(root.endswith(end) for end in HEAD_OFFICES) and "Webhook" not in root
        for role in Role:
            for unit in ("HO", "SH"):
                is_allowed = MAY[root, role] == "yes" and not (is_central and unit == "SH")
                if unit == "HO" or MAY[root, role] == "yes":
                    found = codes(house.answer(f"{role}@{unit}", document))
                    assert ("FORBIDDEN" in found) is not is_allowed, (root, role, unit, found)


def test_what_moves_points_budgets_and_stocks_is_done_with_a_key_alone(house: House) -> None:
    """SEC-03, api.md 5: by header or directive; without one nothing happens."""
    assert (
        {"openPointsJob", "closePointsAccount", "reversePointsEntry", "reserveStock"} < KEYED < set(MUTATIONS)
    )
    before = len(house.appended)
    for root, field in MUTATIONS.items():
        found = codes(house.answer("operator@HO", f"mutation {{ {least(root, field)} }}"))
        assert ("KEY_REQUIRED" in found) is (root in KEYED), (root, found)
    assert len(house.appended) == before
    for root in sorted(KEYED):
        called = call(root, MUTATIONS[root])
        document = f'mutation {{ {called} @idempotent(key: "{root}") {{ userErrors {{ code }} }} }}'
        answer = house.answer("operator@HO", document)
        assert answer["data"][root]["userErrors"], (root, answer)


def test_an_export_tells_who_lacks_the_right_to_its_list(house: House) -> None:
    """SEC-03: a program that may export, and read nothing, is not told that its filter is wrong."""
    headers = {"authorization": "Bearer activities.export@HO"}
    answer = house.client.get("/exports/activities.xlsx", headers=headers)
    assert (answer.status_code, codes(answer.json())) == (403, {"FORBIDDEN"})


def test_every_path_is_refused_to_whom_it_is_not_for(house: House) -> None:
    """SYS-03, SEC-03"""
    assert set(house.paths) == set(ROUTES), "a new path: say here whom it answers"
    for path, asked in ROUTES.items():
        url = path.format(id="sr_0", file="file", name="ACK_X.txt")
        method = "POST" if path in ("/graphql", "/logout", "/login", "/refresh", "/password") else "GET"
        nobody = house.client.request(method, url, json={} if method == "POST" else None)
        match asked:
            case "anybody":
                assert nobody.status_code in (200, 404)
            case "who proves himself":
                assert nobody.status_code in (400, 401, 404, 405)
            case "who has a token":
                assert nobody.status_code in (401, 403, 404), url
            case "by REST":
                assert nobody.status_code in (403, 405), url
            case operation:
                assert nobody.status_code == 403
                for role in Role:
                    headers = {"authorization": f"Bearer {role}@HO"}
                    status = house.client.get(url, headers=headers).status_code
                    assert (status == 403) is (MAY[operation, role] == "no"), (path, role, status)


def test_every_operation_of_rest_is_refused_to_a_role_without_its_permission(house: House) -> None:
    """SYS-03, SEC-03, INT-01"""
    assert {operation.id for operation in OPERATIONS} == set(BY_REST)
    for operation in OPERATIONS:
        path, does = operation.path.format(id="act_0"), BY_REST[operation.id]
        assert Permission.RECORDS_READ in operation.needs
        for role in Role:
            headers = {"authorization": f"Bearer {role}@HO", "idempotency-key": uuid4().hex}
            body = {} if operation.body else None
            answer = house.client.request(operation.method, path, json=body, headers=headers)
            is_allowed = HOLDERS["records.read", role] == "yes" and MAY.get((does, role), "yes") == "yes"
            assert (answer.status_code == 403) is not is_allowed, (operation.id, role, answer.text)


def test_every_operation_of_rest_is_refused_and_scoped_like_those_of_graphql(house: House) -> None:
    """SYS-03, SYS-08, INT-01"""
    assert {operation.id for operation in rest.OPERATIONS} == set(REST)
    activity = next(view for view in views().values() if view.kind == "activity")
    for operation in rest.OPERATIONS:
        body = {} if operation.body else None
        asked = REST[operation.id]
        for role in Role:
            path = operation.path.format(id=id_of(activity, "HO"))
            status = sent(house, f"{role}@HO", operation.method, path, body).status_code
            allowed = HOLDERS[asked, role] if (asked, role) in HOLDERS else MAY[asked, role]
            assert (status == 403) is (allowed == "no"), (operation.id, role, status)
        if operation.body is None and operation.id != "getContract":  # which tells of things, and of none
            shown = sent(house, "operator@SH", "GET", operation.path.format(id=id_of(activity, "SZ")))
            own = [view for view in views().values() if view.kind == REST_LISTS.get(operation.id)]
            seen = {id_of(view, unit) for view in own for unit in UNITS} & sight("operator@SH")
            assert (
                shown.status_code == 404 if "{id}" in operation.path else told(shown.json()) & SEEDED == seen
            ), operation.id


def test_every_view_asks_for_the_permission_of_its_kind() -> None:
    """SYS-03: declared with the type, the same as for subscriptions and differences."""
    assert {view.kind: view.permission for view in views().values()} == {
        view.kind: to_read(view.kind).value for view in views().values()
    }


# --- Rows x units ------------------------------------------------------------

VIEWERS = ("operator@HO", "operator@SH+HO/SH", "auditor@HO", "auditor@SZ", "auditor@XX", "integrator@SH",
           "events.read@HO")  # fmt: skip


def sight(viewer: str) -> frozenset[str]:
    """The ids of all rows that he sees."""
    principal = principal_of(viewer)
    return frozenset(
        id_of(view, unit)
        for view in views().values()
        if view.permission in principal.permissions
        for unit in UNITS
        if view.scope is None or unit in visible(view.kind, principal)
    )


def told(answer: Any) -> set[str]:
    """The ids of all objects in an answer."""
    if isinstance(answer, list):
        return set().union(*map(told, answer))
    if isinstance(answer, dict):
        own = {answer["id"]} if "id" in answer else set()
        return own.union(*map(told, answer.values()))
    return set()


SEEDED = frozenset(id_of(view, unit) for view in views().values() for unit in UNITS)


@pytest.mark.parametrize("viewer", VIEWERS)
def test_lists_and_what_they_lead_to_show_the_units_in_sight_alone(house: House, viewer: str) -> None:
    """SYS-08: each list, now and as of an instant, with each relation of its rows."""
    seen = sight(viewer)
    for root, field in roots("query").items():
        row = row_of(field)
        if row is None or not is_connection(field) or views()[row].permission not in permissions(viewer):
            continue
        for given in ({}, {"asOf": f'{{position: "{"0" * 23}5"}}'}):
            if given.keys() <= field.args.keys():
                document = f"{{ {call(root, field, first='50', **given)} {{ nodes {{ {shown(row)} }} }} }}"
                found = house.data(viewer, document)[root]["nodes"]
                assert told(found) & SEEDED <= seen, (root, told(found) & SEEDED - seen)
                own = {id_of(views()[row], unit) for unit in UNITS} & seen
                if "box" not in field.args:
                    assert {each["id"] for each in found} & SEEDED == own, (root, given)


def permissions(viewer: str) -> frozenset[str]:
    return frozenset(each.value for each in principal_of(viewer).permissions)


@pytest.mark.parametrize("viewer", VIEWERS)
def test_what_is_out_of_sight_is_not_found_by_its_id(house: House, viewer: str) -> None:
    """SYS-08: by node, nodes, and the root of its kind."""
    seen = sight(viewer)
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    asked = sorted(SEEDED)
    found = [
        each
        for start in range(0, len(asked), 90)
        for each in house.data(viewer, document, ids=asked[start : start + 90])["nodes"]
    ]
    assert [each and each["id"] for each in found] == [id_ if id_ in seen else None for id_ in asked]
    for root, field in roots("query").items():
        row = row_of(field)
        if row is None or is_connection(field) or views()[row].permission not in permissions(viewer):
            continue
        for unit in UNITS:
            id_ = id_of(views()[row], unit)
            for given in ({}, {"asOf": "{version: 1}"}):
                if given.keys() <= field.args.keys() and (not given or views()[row].versions):
                    called = call(root, field, id=json.dumps(id_), **given)
                    text = f"{{ one: {called} {{ {shown(row)} }} }}"
                    one = house.data(viewer, text)["one"]
                    assert (one and one["id"]) == (id_ if id_ in seen else None), (root, unit)
                    assert told(one) & SEEDED <= seen
    for id_ in sorted(SEEDED - seen)[:1]:
        assert house.data(viewer, f'{{ node(id: "{id_}") {{ id }} }}') == {"node": None}


def test_masked_fields_are_null_and_no_filter_without_their_permission(house: House) -> None:
    """SEC-06, SYS-03: for each field that asks for a permission of its own."""
    assert len(masked_fields()) > 10
    for type_, name, permission in masked_fields():
        selected = least(name, type_.fields[name])
        id_ = id_of(views()[type_], "HO")
        document = f'{{ node(id: "{id_}") {{ ... on {type_.name} {{ {selected} reason: {name}Masked }} }} }}'
        for role in Role:
            node, is_shown = house.data(f"{role}@HO", document)["node"], HOLDERS[permission, role] == "yes"
            assert (node[name] is not None) is is_shown, (type_.name, name, role)
            assert node["reason"] == (None if is_shown else "NO_PERMISSION"), (type_.name, name, role)


def test_what_is_masked_is_no_filter_without_its_permission(house: House) -> None:
    """SEC-06: an answer by yes and no would tell it all the same."""
    for type_, name, permission in masked_fields():
        for root, field in roots("query").items():
            filtered = get_named_type(field.args["filter"].type).fields if "filter" in field.args else ()
            if row_of(field) is type_ and name in filtered:
                called = call(root, field, filter=f"{{{name}: {{isNull: false}}}}")
                for role in Role:
                    found = codes(house.answer(f"{role}@HO", f"{{ {called} {{ totalCount }} }}"))
                    is_allowed = HOLDERS[permission, role] == "yes"
                    assert ("FORBIDDEN" in found) is not is_allowed, (root, name, role)


# --- Events and subscriptions ------------------------------------------------


class AtOnce:
    """The progress of projections that none of these answers reads."""

    async def reached(self, *_: object) -> bool:
        return True


STREAMS = {"points": "points_ledger", "entry": "cost_type"}
"""Kinds of streams whose events are not called by them."""

FOLLOWED = ("operator@HO", "operator@SH", "operator@SH+HO/SH", "auditor@HO", "auditor@XX", "administrator@HO",
            "integrator@SZ", "@HO")  # fmt: skip


def record_all(log: EventLog) -> Mapping[Position, Record[Any]]:
    """Every event that there is, once as the business of each unit."""
    for unit in sorted(UNITS):
        writes = []
        for (name, _), event in GOLDEN.items():
            kind = name.partition(".")[0]
            writes.append(Write(uuid4(), STREAMS.get(kind, kind), 0, GENESIS, [event]))
        log.append_bulk(writes, replace(log_writing.context(), org_unit=unit))
    found = {record.position: record for record in log.follow(BEGINNING, 10_000)}
    assert len(found) == len(UNITS) * len(GOLDEN)
    return found


async def follow(root: str, context: Context, until: Position) -> set[Position] | str:
    """The positions of all that a subscription tells, or the code that refuses it."""
    stream = Stream(context.live_log, context.log, context.progress, BEGINNING, until=lambda: until)
    document = parse(f"subscription {{ {root} {{ position }} }}")
    found = subscribe(schema._schema, document, context_value=replace(context, stream=stream))
    found = await found if isawaitable(found) else found
    try:
        return {Position(*decode(each.data[root]["position"])) async for each in found}
    except GraphQLError as error:
        return str(error.extensions["code"])


async def page(context: Context) -> set[Position]:
    """All that `events` tells, page by page."""
    after, more, told_ = "0" * 24, True, set[Position]()
    while more:
        document = f'{{ events(first: 500, after: "{after}") {{ position hasMore events {{ position }} }} }}'
        result = await schema.execute(document, context_value=context)
        assert result.data is not None, result.errors
        found = result.data["events"]
        told_ |= {Position(*decode(each["position"])) for each in found["events"]}
        after, more = found["position"], found["hasMore"]
    return told_


def test_events_and_changes_tell_of_the_units_in_sight_alone(
    make_database: Callable[..., str], migrated_template: str
) -> None:
    """SYS-03, SYS-08, SEC-03: every subscription, and the page of events, over every event of every unit."""
    url = make_database(migrated_template)

    async def scenario(log: EventLog) -> None:
        records = record_all(log)
        newest = max(records)
        async with AsyncConnectionPool(url, kwargs={"autocommit": True}, configure=configure) as reading:
            reads = Reads(schema, reading)
            live_log = LiveLog(log, reads.one)
            await live_log.open()
            told_to_all: dict[str, set[Position]] = {}
            for viewer in FOLLOWED:
                principal = principal_of(viewer)
                context = Context(principal, viewer_of(principal, 100), "en", "r", None, cast(Any, None), log,
                                  reads, AtOnce(), live_log, cast(Any, None))  # fmt: skip
                for root in roots("subscription"):
                    asked = "events.read" if root == "events" else "records.read"
                    found = await follow(root, context, newest)
                    if asked not in permissions(viewer):
                        assert found == "FORBIDDEN", (root, viewer)
                        continue
                    assert isinstance(found, set), (root, viewer, found)
                    everything = told_to_all.setdefault(root, found)
                    seen = {at for at in everything if records[at].context.org_unit in principal.units}
                    if root == "events":
                        seen = {at for at, record in records.items() if _sees(principal, record)}
                        assert await page(context) == found
                    assert found == seen or (root == "approvalInboxChanged" and found <= seen), (root, viewer)
            live_log.release()
            assert {records[at].context.org_unit for at in told_to_all["activityChanged"]} == UNITS

    with pool(url, 2) as connections:
        asyncio.run(scenario(EventLog(connections)))


def _sees(principal: Principal, record: Record[Any]) -> bool:
    unit, kind = record.context.org_unit, record.stream_type
    return public_event(record) is not None and unit in visible(kind, principal)
