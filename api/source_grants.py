"""Source grants in GraphQL: what one's unit may use of the warehouse, and who may say so."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import strawberry
from anyio import to_thread

from api.commands import Payload, execute, key_of
from api.context import Context, Info
from api.history import HistoryEntry
from api.planner.views import Connection, Node, many, payload, view
from api.refusals import require
from application import source_grants
from application.access import Permission
from application.shared.work import Work
from domain.warehouse_schema import ColumnType

PROJECTIONS = ("source_grants", "timeline")

strawberry.enum(ColumnType, name="SourceColumnType", description="What a column of the warehouse holds.")


@strawberry.enum(description="What was revoked stays to be seen.")
class SourceGrantStatus(StrEnum):
    GRANTED = "granted"
    REVOKED = "revoked"


@view(
    "read.source_grants",
    versions="read.source_grant_versions",
    prefix="sg",
    scope="org_unit",
    permission="records.read",
    order=("org_unit", "source", "table_name"),
    description="Which columns of a table a unit may use in its SQL.",
)
class SourceGrant(Node):
    version: int
    revision: int
    org_unit: str
    source: str
    table_name: str
    columns: list[str]
    status: SourceGrantStatus
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    history: Connection[HistoryEntry] = many("stream_id", description="Every change, oldest first.")


@strawberry.type(description="A column of the warehouse.")
class SourceColumn:
    name: str
    type: ColumnType
    is_personal: bool


@strawberry.type(description="A table, with the columns that may be used.")
class SourceTable:
    name: str
    columns: list[SourceColumn]


@strawberry.type(description="A source, with the tables that may be used. One without any is not listed.")
class DataSource:
    code: str
    tables: list[SourceTable]


@strawberry.type
class SourceQueries:
    @strawberry.field(
        description="What the viewer's unit may use in its SQL; for who grants, everything there is."
    )
    async def data_sources(self, info: Info) -> list[DataSource]:
        require(Permission.RECORDS_READ, info.context)
        found = await to_thread.run_sync(_sources, info.context)
        return [
            DataSource(
                code=code,
                tables=[
                    SourceTable(
                        name=table.name,
                        columns=[
                            SourceColumn(name=each.name, type=each.type, is_personal=each.is_personal)
                            for each in table.columns
                        ],
                    )
                    for table in tables
                ],
            )
            for code, tables in found
        ]


def _sources(context: Context) -> source_grants.Listing:
    if Permission.SOURCES_GRANT in context.principal.permissions:
        return source_grants.everything()
    work = context.handler.look(context.principal)
    return source_grants.usable(work, context.principal.org_unit)


@strawberry.input(description="The whole grant: columns that were granted before and are not named are gone.")
class GrantSourceInput:
    org_unit: str
    source: str
    table: str
    columns: list[str]
    expected_version: int | None = None


@strawberry.input(description="The grant that is taken back.")
class RevokeSourceInput:
    id: strawberry.ID
    expected_version: int | None = None


@strawberry.type
class SourceGrantPayload(Payload):
    source_grant: SourceGrant | None = payload("subject")


async def _on_grant(
    info: Info, operation: str, input: Any, use_case: Callable[[Work], UUID]
) -> SourceGrantPayload:
    return await execute(info, SourceGrantPayload, operation, input, use_case, PROJECTIONS)


@strawberry.type
class SourceGrantMutations:
    @strawberry.mutation(description="Say what a unit may use of a table.")
    async def grant_source(self, info: Info, input: GrantSourceInput) -> SourceGrantPayload:
        columns = tuple(input.columns)
        return await _on_grant(
            info,
            "grantSource",
            input,
            lambda work: source_grants.grant(work, input.org_unit, input.source, input.table, columns),
        )

    @strawberry.mutation(description="Take a grant back; the gate refuses the table from now on.")
    async def revoke_source(self, info: Info, input: RevokeSourceInput) -> SourceGrantPayload:
        key = key_of("sg", input.id)
        return await _on_grant(info, "revokeSource", input, lambda work: source_grants.revoke(work, key))
