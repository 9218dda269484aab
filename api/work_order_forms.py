"""Work orders as documents: the form of one revision, with all that it refers to, as JSON or Markdown.

GET /exports/work-orders/<id> with the bearer token; `version` is that of the work order, the newest when it
is left out; `Accept: text/markdown` for text. Every document that leaves is recorded first.
"""

from dataclasses import dataclass
from typing import Any

import orjson
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.context import Context
from api.exports import NotExported, answered
from api.http_errors import request_id
from api.messages import language_of
from api.services import Services
from application import downloads
from application.access import Principal
from application.shared.handler import Request as Command

FORMS_PATH = "/exports/work-orders"
OPERATION = "exportWorkOrder"
SUBJECT = "work_orders"
MARKDOWN = "text/markdown"
VERSION_MOST = 2**31 - 1

NEWEST = "query ($id: ID!) { workOrder(id: $id) { version } }"
FORM = """query ($id: ID!, $asOf: AsOf) { workOrder(id: $id, asOf: $asOf) {
    number version revision kind status orgUnit name activityId activityRevision customerGroupId
    customerGroupRevision segmentationRules executionAt requester departmentId departmentRevision
    outputFields priority dataTimeframe { dataFrom dataTo } remark definitionId definitionRevision
    runId executions reason createdAt createdBy submittedAt submittedBy approvedAt changedAt changedBy } }"""

LABELS = {
    "number": ("工单号", "Number"),
    "version": ("版本", "Version"),
    "revision": ("修订", "Revision"),
    "kind": ("类型", "Kind"),
    "status": ("状态", "Status"),
    "orgUnit": ("机构", "Organisation unit"),
    "name": ("名称", "Name"),
    "activityId": ("活动", "Activity"),
    "activityRevision": ("活动修订", "Activity revision"),
    "customerGroupId": ("客群", "Customer group"),
    "customerGroupRevision": ("客群修订", "Customer group revision"),
    "segmentationRules": ("细分规则", "Segmentation rules"),
    "executionAt": ("执行时间", "Execution time"),
    "requester": ("申请人", "Requester"),
    "departmentId": ("部门", "Department"),
    "departmentRevision": ("部门修订", "Department revision"),
    "outputFields": ("输出字段", "Output fields"),
    "priority": ("优先级", "Priority"),
    "dataTimeframe": ("数据时间范围", "Data timeframe"),
    "remark": ("备注", "Remark"),
    "definitionId": ("细分定义", "Segment definition"),
    "definitionRevision": ("细分定义修订", "Segment definition revision"),
    "runId": ("执行", "Run"),
    "executions": ("执行次数", "Executions"),
    "reason": ("原因", "Reason"),
    "createdAt": ("创建时间", "Created at"),
    "createdBy": ("创建人", "Created by"),
    "submittedAt": ("提交时间", "Submitted at"),
    "submittedBy": ("提交人", "Submitted by"),
    "approvedAt": ("批准时间", "Approved at"),
    "changedAt": ("更改时间", "Changed at"),
    "changedBy": ("更改人", "Changed by"),
}
"""The fields of a document in their order: (zh, en)."""


@dataclass(slots=True)
class WorkOrderForms:
    """The ASGI application behind /exports/work-orders."""

    services: Services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)

        async def exported(principal: Principal) -> Response:
            return await self._exported(request, principal)

        response = await answered(self.services, request, OPERATION, exported)
        await response(scope, receive, send)

    async def _exported(self, request: Request, principal: Principal) -> Response:
        language = language_of(request.headers.get("accept-language"))
        context = self.services.context(principal, language, request_id(request.scope), None)
        shown = request.url.path.removeprefix(FORMS_PATH).strip("/")
        version = _version(request.query_params.get("version"))
        if version is None:
            version = (await _read(context, NEWEST, {"id": shown}))["version"]
        form = await _read(context, FORM, {"id": shown, "asOf": {"version": version}})
        await _record(context, shown, version, request.client.host if request.client else "")
        return _document(form, request.headers.get("accept", ""), context.language)


async def _read(context: Context, document: str, variables: dict[str, Any]) -> dict[str, Any]:
    answer = await context.reads.answer({"query": document, "variables": variables}, context.viewer)
    found = None if answer is None else orjson.loads(answer)["data"]["workOrder"]
    if found is None:
        raise NotExported(404, "NOT_FOUND")
    return dict(found)


async def _record(context: Context, shown: str, version: int, address: str) -> None:
    chosen = orjson.dumps({"id": shown, "version": version}).decode()
    command = Command(context.principal, OPERATION, {"filter": chosen, "address": address})

    def record() -> None:
        context.handler(command, lambda work: downloads.record(work, SUBJECT, chosen, 1, address))

    await to_thread.run_sync(record)


def _document(form: dict[str, Any], accepted: str, language: str) -> Response:
    is_text = accepted.split(",", maxsplit=1)[0].split(";", maxsplit=1)[0].strip() == MARKDOWN
    name = f"{form['number']}-v{form['version']}.{'md' if is_text else 'json'}"
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'}
    body = markdown(form, language).encode() if is_text else orjson.dumps(form, option=orjson.OPT_INDENT_2)
    media = f"{MARKDOWN}; charset=utf-8" if is_text else "application/json"
    return Response(body, headers=headers, media_type=media)


def markdown(form: dict[str, Any], language: str) -> str:
    """A heading and a table of all fields; what people typed can't leave its cell."""
    title, rows = f"# {form['number']}", ["| | |", "|---|---|"]
    for name, (chinese, english) in LABELS.items():
        label = chinese if language == "zh" else english
        rows.append(f"| {label} | {_cell(form[name])} |")
    return "\n".join([title, "", *rows, ""])


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case {"dataFrom": first, "dataTo": end}:
            return f"{first} – {end}"
        case list():
            return ", ".join(_cell(member) for member in value)
    text = str(value).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return "<br>".join(text.splitlines())


def _version(given: str | None) -> int | None:
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= 10 and 0 < int(given) <= VERSION_MOST):
        raise NotExported(400, "BAD_REQUEST")
    return int(given)
