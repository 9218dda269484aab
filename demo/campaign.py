"""One campaign by the sample users through GraphQL: planned, approved, executed, posted, explained."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from demo.cases import POINTS_COST, Case
from demo.product import DemoFailed, User
from demo.steps import Steps

WAY = (
    "OPENED", "RESERVED", "FILED", "RELEASED", "SENT", "AWAITING_ACKNOWLEDGEMENT", "ACKNOWLEDGED", "POSTED",
    "RECONCILED", "SETTLED",
)  # fmt: skip
RUN = "query ($id: ID!) { segmentRun(id: $id) { status rowCount durationMs contentHash } }"
JOB = """query ($id: ID!) { pointsJob(id: $id) { status failure faults { code line name value } fileName lines
    points amount { amount currency } consumed { amount currency } bytes sha256 accepted rejected posted
    postedPoints differing } }"""
LAUNCHED = """query ($id: ID!) { activity(id: $id) { status figures { status applicable }
    groupExtractions { nodes { role status memberCount } } } }"""
REACHED = """query ($id: ID!) { activity(id: $id) { figures { applicable qualified }
    stocks { nodes { total reserved consumed } } } }"""
COUNTED = ("lines", "points", "bytes", "accepted", "rejected", "posted", "postedPoints", "differing")
"""Whole numbers, which the API writes as texts where they may pass 2^53."""
LEVELS = (("RESEARCH", "researcher"), ("TECHNOLOGY", "technologist"))


@dataclass(slots=True)
class Campaign:
    """`users` by their names. What has been made so far is kept for the steps to come."""

    case: Case
    steps: Steps
    users: Mapping[str, User]
    made: dict[str, Any] = field(default_factory=dict)

    @property
    def operator(self) -> User:
        return self.users["operator"]

    def play(self) -> None:
        """All steps up to the settled budget."""
        self._parameters()
        self._groups()
        self._plan()
        self._approve("activity", "activity")
        self._launch()
        self._order()
        self._approve("work order", "workOrder")
        self._define()
        self._approve("segment definition", "segmentDefinition")
        self._schedule()
        self._run()
        self._deliver()
        self._reached()

    def _parameters(self) -> None:
        with self.steps.step("keep the parameters") as step:
            operator = self.operator
            type_ = operator.do(
                "addActivityType", "activityType { id }", code="DEMO-SPEND", name="Spend and get"
            )
            department = operator.do(
                "addDepartment", "department { id }", code="DEMO-CARD", name="Card marketing", contact="4008"
            )
            cost = operator.do(
                "addCostType",
                "costType { id }",
                code="DEMO-POINTS",
                name="Points",
                accountingSubject="6421",
                unit="points",
            )
            reward = operator.do(
                "addRewardType",
                "rewardType { id }",
                code="DEMO-POINTS",
                name="Points for spend",
                route="POINTS",
                unit="points",
                minimum="1",
                maximum="100000",
                costTypeId=cost["id"],
                unitCost=POINTS_COST,
                currency=self.case.currency,
            )
            self.made |= {"type": type_, "department": department, "cost": cost, "reward": reward}
            step.figures = "activity type, department, cost type, reward type"

    def _groups(self) -> None:
        with self.steps.step("pick the customer groups") as step:
            spent: dict[str, Any] = {
                "condition": {
                    "dimension": "TRANSACTION_SUM",
                    "comparison": "AT_LEAST",
                    "values": [f"{self.case.spend_minor / 100:.2f}"],
                    "transactions": {"window": self._window(), "currency": self.case.currency},
                }
            }
            known: dict[str, Any] = {
                "condition": {
                    "dimension": "TRANSACTION_COUNT",
                    "comparison": "AT_LEAST",
                    "values": ["1"],
                    "transactions": {"window": self._window()},
                }
            }
            overdue = {"condition": {"dimension": "IS_OVERDUE", "comparison": "EQUAL", "values": ["true"]}}
            spent = {"allOf": [spent, {"not": overdue}]}
            for key, purpose, rule in (("target", "TARGET", known), ("rewarded", "REWARDED", spent)):
                self.made[key] = self.operator.do(
                    "defineCustomerGroup",
                    "customerGroup { id revision }",
                    code=f"DEMO-{purpose}",
                    purpose=purpose,
                    name=f"{purpose.capitalize()} of the demo",
                    rule=rule,
                )
            found = {key: self._preview(rule) for key, rule in (("target", known), ("rewarded", spent))}
            step.figures = f"{found['target']:,} targeted, {found['rewarded']:,} to be rewarded"

    def _window(self) -> dict[str, str]:
        return {"startsOn": self.case.data_from.isoformat(), "endsOn": self.case.data_to.isoformat()}

    def _preview(self, rule: Mapping[str, Any]) -> int:
        document = (
            "query ($input: PreviewCustomerGroupInput!) { previewCustomerGroup(input: $input) { count } }"
        )
        found = self.operator.ask(
            document, input={"rule": rule, "businessDate": self.case.data_to.isoformat()}
        )
        return int(found["previewCustomerGroup"]["count"])

    def _plan(self) -> None:
        with self.steps.step("plan the activity") as step:
            now = datetime.now(UTC)
            timeframe = {
                "kind": "FIXED",
                "startsOn": self.case.data_from.isoformat(),
                "endsOn": self.case.data_to.isoformat(),
            }
            links = [
                {
                    "customerGroupId": self.made[key]["id"],
                    "role": role,
                    "frequency": {"kind": "ONCE"},
                    "timeframe": timeframe,
                }
                for key, role in (("target", "TARGET"), ("rewarded", "REWARDED"))
            ]
            money = {"amount": self.case.budget, "currency": self.case.currency}
            self.made["activity"] = self.operator.do(
                "draftActivity",
                "activity { id revision }",
                code="DEMO-1",
                name=self.case.name,
                description="Points for those who spent with their cards.",
                activityTypeId=self.made["type"]["id"],
                startsAt=now.isoformat(),
                endsAt=(now + timedelta(days=60)).isoformat(),
                channels=["APP", "SMS"],
                budget=money,
                costLines=[{"costTypeId": self.made["cost"]["id"], "amount": money}],
                departmentId=self.made["department"]["id"],
                responsible="operator",
                goal="USE",
                rewards=[
                    {"rewardTypeId": self.made["reward"]["id"], "value": "1", "capTotal": self.case.stock}
                ],
                groups=links,
            )
            self.operator.do("submitActivity", "activity { id }", id=self.made["activity"]["id"])
            step.figures = (
                f"budget {self.case.budget} {self.case.currency}, at most {int(self.case.stock):,} points"
            )

    def _approve(self, what: str, name: str) -> None:
        """Both levels say yes to what they see in their inbox."""
        with self.steps.step(f"Research, then Technology approve the {what}") as step:
            for level, user in LEVELS:
                seen = self.users[user].until(f"the {what} in the inbox", partial(self._todo, user, name))
                self.users[user].do(
                    "approve",
                    "approval { status }",
                    id=seen["id"],
                    level=level,
                    revision=seen["subjectRevision"],
                    contentHash=seen["contentHash"],
                    comment="As seen.",
                )
            step.figures = f"revision {seen['subjectRevision']}, content {seen['contentHash'][:12]}…"

    def _todo(self, user: str, name: str) -> Any:
        document = """{ approvalInbox(first: 50, box: TODO) { nodes {
            id subject { id } subjectRevision contentHash } } }"""
        nodes = self.users[user].ask(document)["approvalInbox"]["nodes"]
        subject = self.made[name]["id"]
        return next((node for node in nodes if node["subject"]["id"] == subject), None)

    def _launch(self) -> None:
        """From the launch on it is running: its groups are extracted, and those it speaks to counted."""
        with self.steps.step("launch the activity, extract its groups") as step:
            self.operator.do("launchActivity", "activity { status }", id=self.made["activity"]["id"])
            found = self.operator.until(
                "the extractions",
                partial(self._when, LAUNCHED, "activity", self.made["activity"], _is_extracted),
            )
            members = {each["role"]: int(each["memberCount"]) for each in found["groupExtractions"]["nodes"]}
            step.figures = (
                f"{members['TARGET']:,} targeted, {members['REWARDED']:,} to be rewarded,"
                f" {found['figures']['applicable']:,} applicable"
            )

    def _order(self) -> None:
        with self.steps.step("raise the work order") as step:
            order = self.operator.do(
                "draftWorkOrder",
                "workOrder { id number }",
                name="Points of the demo",
                activityId=self.made["activity"]["id"],
                customerGroupId=self.made["rewarded"]["id"],
                segmentationRules=f"At least {self.case.spend_minor / 100:,.2f} {self.case.currency} spent.",
                executionAt=(datetime.now(UTC) + timedelta(seconds=1)).isoformat(),
                requester="operator",
                departmentId=self.made["department"]["id"],
                outputFields=["customer_id", "card", "spent_minor", "points"],
                dataTimeframe={
                    "dataFrom": self.case.data_from.isoformat(),
                    "dataTo": self.case.data_to.isoformat(),
                },
            )
            self.made["workOrder"] = order
            self.operator.do("submitWorkOrder", "workOrder { id }", id=order["id"])
            step.figures = order["number"]

    def _define(self) -> None:
        with self.steps.step("write the segment definition") as step:
            names = ("customer_id", "card", "spent_minor", "points")
            definition = self.users["analyst"].do(
                "draftSegmentDefinition",
                "segmentDefinition { id }",
                code="DEMO-1",
                kind="ACTIVITY",
                workOrderId=self.made["workOrder"]["id"],
                name="Points of the demo",
                sql=self.case.sql,
                source="bank",
                primaryIndex=["customer_id"],
                outputs=[{"name": name, "isPersonal": False} for name in names],
                mapping=[
                    {"target": "CUSTOMER", "source": "customer_id"},
                    {"target": "CARD", "source": "card"},
                    {"target": "POINTS", "source": "points", "format": "INTEGER"},
                ],
            )
            self.made["segmentDefinition"] = definition
            self.users["analyst"].do(
                "submitSegmentDefinition", "segmentDefinition { id }", id=definition["id"]
            )
            step.figures = f"{len(self.case.sql.splitlines())} lines of SQL, checked"

    def _schedule(self) -> None:
        with self.steps.step("schedule the work order") as step:
            scheduled = self.operator.do(
                "scheduleWorkOrder",
                "workOrder { status }",
                id=self.made["workOrder"]["id"],
                definitionId=self.made["segmentDefinition"]["id"],
            )
            step.figures = scheduled["status"].lower()

    def _run(self) -> None:
        with self.steps.step("execute the work order: run the segment") as step:
            document = """query ($id: ID!) { workOrder(id: $id) { status failureCode runId pointsJobId } }"""
            order = self.operator.until(
                "the run of the work order",
                lambda: self._when(document, "workOrder", self.made["workOrder"], lambda o: o["pointsJobId"]
                                   or o["status"] in ("FAILED", "COMPLETED")),
            )  # fmt: skip
            if not order["pointsJobId"]:
                raise DemoFailed(f"the work order has no points job: {order}")
            self.made["job"], self.made["run"] = {"id": order["pointsJobId"]}, {"id": order["runId"]}
            run = self.operator.until(
                "the figures of the run",
                partial(self._when, RUN, "segmentRun", self.made["run"], lambda run: run["rowCount"]),
            )
            run["rowCount"] = int(run["rowCount"])
            self.made["run"] |= run
            step.figures = (
                f"{run['rowCount']:,} customers, {run['durationMs']} ms, {run['contentHash'][:12]}…"
            )

    def _deliver(self) -> None:
        """The pipeline is shown as it goes: budget, file, gateway, ledgers, reconciliation, settlement."""
        named = (
            ("RESERVED", "reserve the budget", "{lines:,} lines, {points:,} points, cost {amount[amount]}"),
            ("FILED", "write the points file", "{fileName}, {bytes:,} bytes, {sha256:.12}…"),
            ("SENT", "hand it over to the points system", "{fileName}"),
            ("ACKNOWLEDGED", "take the acknowledgement", "{accepted:,} accepted, {rejected:,} rejected"),
            ("POSTED", "post to the ledgers", "{posted:,} entries, {postedPoints:,} points"),
            ("RECONCILED", "reconcile line by line", "{differing} differ"),
            ("SETTLED", "settle the budget", "{consumed[amount]} {consumed[currency]} consumed"),
        )  # fmt: skip
        for status, name, figures in named:
            with self.steps.step(name) as step:
                job = self.operator.until(
                    name,
                    partial(self._when, JOB, "pointsJob", self.made["job"], partial(_is_past, status)),
                )
                job |= {name: int(job[name] or 0) for name in COUNTED}
                step.figures = figures.format(**job)
        self.made["job"] |= job

    def _reached(self) -> None:
        """What was held for the activity and is used up, and who qualified for it."""
        with self.steps.step("count whom it reached") as step:
            rows, posted = self.made["run"]["rowCount"], self.made["job"]["postedPoints"]

            def is_told(activity: Mapping[str, Any]) -> bool:
                (stock,) = activity["stocks"]["nodes"]
                given = int(stock["consumed"]) == posted and not int(stock["reserved"])
                return given and bool(activity["figures"]["qualified"] == rows)

            # The job, the stock and the count are read models of their own: each follows at its pace.
            found = self.operator.until(
                f"the count of {rows:,} qualified and of {posted:,} points of the stock consumed",
                partial(self._when, REACHED, "activity", self.made["activity"], is_told),
            )
            (stock,) = found["stocks"]["nodes"]
            step.figures = (
                f"{rows:,} of {found['figures']['applicable']:,} qualified,"
                f" {int(stock['consumed']):,} of {int(stock['total']):,} points of the stock given"
            )

    def _when(self, document: str, name: str, of: Mapping[str, Any], holds: Any) -> Any:
        found = self._ask(document, name, of)
        return found if found and holds(found) else None

    def _ask(self, document: str, name: str, of: Mapping[str, Any]) -> Any:
        return self.operator.ask(document, id=of["id"])[name]


def _is_extracted(activity: Mapping[str, Any]) -> bool:
    done = [each["status"] for each in activity["groupExtractions"]["nodes"]]
    if "FAILED" in done:
        raise DemoFailed(f"an extraction has failed: {activity}")
    return done == ["SUCCEEDED"] * 2 and activity["figures"]["applicable"] is not None


def _is_past(status: str, job: Mapping[str, Any]) -> bool:
    if job["status"] not in WAY:
        raise DemoFailed(f"the points job stands at {job}")
    return WAY.index(job["status"]) >= WAY.index(status)
