"""What tests of segments in the API make again and again: grants, definitions, runs that are performed."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg_pool import ConnectionPool

from application.segment_runs import execute
from application.shared.engines import Engine
from application.shared.handler import Handler
from infrastructure.event_log import EventLog
from tests.api.campaigns import APPROVAL, code, verdict
from tests.api.house import UNITS, House

DEFINITION = """segmentDefinition { id version revision status code approvedRevision approvalId
    approval { id version subjectRevision contentHash status awaiting } }"""
RUN = "segmentRun { id status code isTrial rowLimit definitionRevision retention }"
CUSTOMERS = ["customer_id", "city", "level", "opened_on", "birth_year"]


def content(**given: Any) -> dict[str, Any]:
    return {
        "name": "高端 Premium",
        "description": "Gold and above",
        "sql": "select customer_id, level, birth_year\nfrom customers where opened_on < :data_to",
        "source": "bank",
        "primaryIndex": ["customer_id"],
        "outputs": [
            {"name": "customer_id", "isPersonal": False},
            {"name": "level", "isPersonal": False},
            {"name": "birth_year", "isPersonal": False},
        ],
        "mapping": [
            {"target": "CUSTNO", "source": "customer_id", "width": 12, "isZeroPadded": True},
            {"target": "LVL", "source": "level", "translation": [
                {"value": "GOLD", "text": "2"}, {"value": "NORMAL", "text": "1"},
                {"value": "PLATINUM", "text": "3"}]},
            {"target": "BANK", "constant": "CARDINAL"},
        ],
        **given,
    }  # fmt: skip


def granted(house: House, unit: str = "HO", table: str = "customers", columns: list[str] = CUSTOMERS) -> Any:
    selection = "sourceGrant { id revision orgUnit tableName columns status }"
    given = {"orgUnit": unit, "source": "bank", "table": table, "columns": columns}
    return house.done("admin", "grantSource", selection, **given)


def drafted(house: House, user: str = "operator", **given: Any) -> Any:
    made = {"code": code("SD"), **content(**given)}
    return house.done(user, "draftSegmentDefinition", DEFINITION, **made)


def submitted(house: House, definition: Any, user: str = "operator") -> Any:
    return house.done(user, "submitSegmentDefinition", DEFINITION, id=definition["id"])


def approved(house: House, definition: Any, user: str = "operator") -> Any:
    """Submit it and approve it at both levels; as it stands then."""
    approval = submitted(house, definition, user)["approval"]
    house.done("researcher", "approve", APPROVAL, **verdict(approval, "RESEARCH"))
    house.done("technologist", "approve", APPROVAL, **verdict(approval, "TECHNOLOGY"))
    document = f"query ($id: ID!) {{ {DEFINITION.replace('{', '(id: $id) {', 1)} }}"
    return house.data(user, document, id=definition["id"])["segmentDefinition"]


VALUES = [{"name": "data_to", "value": "2026-03-01"}]


def requested(house: House, definition: Any, user: str = "operator") -> Any:
    return house.done(user, "requestSegmentRun", RUN, definitionId=definition["id"], parameters=VALUES)


@dataclass(frozen=True, slots=True)
class Worker:
    """Performs a run as the worker does."""

    connections: ConnectionPool[Any]
    engine: Engine

    def perform(self, run: Any) -> None:
        handler = Handler(EventLog(self.connections))
        execute(handler, self.engine, UUID(run["id"].removeprefix("sr_")), UNITS)
