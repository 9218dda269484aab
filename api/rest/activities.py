"""Activities for other systems: they create, submit and follow them, with the validation and the approval
that everybody else's go through.
"""

from typing import Any

from starlette.responses import Response

from api.activity_plans import plan_entry
from api.commands import key_of
from api.graphql_app import NOT_KEPT
from api.planner import ids
from api.planner.positions import Position, encode
from api.rest.activity_bodies import (
    Activity,
    ActivityDraft,
    ActivityPage,
    ActivityQuery,
    ActivityState,
    Submission,
)
from api.rest.lists import Reading, page
from api.rest.operations import Asked, Operation, answer, selection
from application import activities
from application.access import Permission
from application.shared.records import Receipt

ACTIVITIES = "/v1/activities"

ONE = f"query ($id: ID!) {{ activity(id: $id) {{ {selection(Activity)} }} }}"
STATE = f"query ($id: ID!) {{ activity(id: $id) {{ {selection(ActivityState)} }} }}"
AS_OF = f"query ($id: ID!, $asOf: AsOf) {{ activity(id: $id, asOf: $asOf) {{ {selection(Activity)} }} }}"
PAGE = f"""query ($filter: ActivityFilter, $first: Int!, $after: Cursor) {{
    activities(filter: $filter, first: $first, after: $after) {{
        nodes {{ {selection(Activity)} }} pageInfo {{ hasNextPage endCursor }} }} }}"""


async def _create(asked: Asked) -> Response:
    draft: ActivityDraft = asked.body
    plan = plan_entry(draft)
    receipt = await asked.perform("draftActivity", lambda work: activities.draft(work, draft.code, plan))
    found = await _as_left_by(asked, receipt)
    place = f"{ACTIVITIES}/{ids.encode('act', receipt.subject)}"
    return answer(found, 201, {**_written(receipt), "Location": place})


async def _submit(asked: Asked) -> Response:
    submission: Submission = asked.body
    key = key_of("act", asked.id)
    receipt = await asked.perform(
        "submitActivity", lambda work: activities.submit(work, key), submission.expected_version
    )
    return answer(await _as_left_by(asked, receipt), headers=_written(receipt))


def _written(receipt: Receipt) -> dict[str, str]:
    return {**NOT_KEPT, "Cardinal-Position": encode(Position(*receipt.position))}


async def _as_left_by(asked: Asked, receipt: Receipt) -> Any:
    """The activity as the command left it, so that its repetition is answered alike."""
    as_of = await asked.recorded(receipt, "activities")
    return await asked.read(AS_OF, {"id": ids.encode("act", receipt.subject), "asOf": as_of})


async def _list(asked: Asked) -> Response:
    return await page(asked, PAGE, ACTIVITIES, asked.query.status)


async def _one(asked: Asked) -> Response:
    return await asked.shown(ONE)


async def _state(asked: Asked) -> Response:
    return await asked.shown(STATE)


READS = (Permission.RECORDS_READ,)
PLANS = (Permission.RECORDS_READ, Permission.ACTIVITIES_PLAN)

OPERATIONS = (
    Operation(
        "createActivity", "POST", ACTIVITIES, "Draft an activity with its whole plan.",
        _create, Activity, PLANS, 201, body=ActivityDraft,
    ),
    Operation(
        "listActivities", "GET", ACTIVITIES, "Activities of the units that the caller sees.",
        _list, ActivityPage, READS, query=ActivityQuery,
    ),
    Operation("getActivity", "GET", f"{ACTIVITIES}/{{id}}", "One activity.", _one, Activity, READS,
        query=Reading,
    ),
    Operation(
        "getActivityStatus", "GET", f"{ACTIVITIES}/{{id}}/status", "How far it is.",
        _state, ActivityState, READS, query=Reading,
    ),
    Operation(
        "submitActivity", "POST", f"{ACTIVITIES}/{{id}}/submission", "Ask for its approval as it stands.",
        _submit, Activity, PLANS, body=Submission,
    ),
)  # fmt: skip
