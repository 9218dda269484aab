"""The use cases of source grants: what a unit may use of the warehouse, and who says so."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from application.shared.engines import GrantedTable
from application.shared.work import Work
from domain.segment_contents import mentions
from domain.shared.references import Reference
from domain.source_grants import DECIDER, GrantSource, RevokeSource, Status, grant_id
from domain.warehouse_schema import BANK, TABLES, WarehouseTable

SOURCES: Mapping[str, Mapping[str, WarehouseTable]] = {BANK: TABLES}
"""The tables of every source by their names, by the source's code."""

Listing = Sequence[tuple[str, Sequence[WarehouseTable]]]
"""Sources by their codes, each with tables, each with columns."""


def grant(work: Work, org_unit: str, source: str, table: str, columns: tuple[str, ...]) -> UUID:
    """All that the unit may use of the table from now on; what was granted before is replaced.

    The version that the caller saw is that of the grant, 0 where there was none.
    """
    found = SOURCES.get(source, {}).get(table)
    work.org_unit = org_unit if work.principal.sees(org_unit) else work.org_unit
    id_ = grant_id(org_unit, source, table)
    command = GrantSource(
        org_unit=org_unit,
        source=source,
        table=table,
        columns=columns,
        known=found.column_names if found else (),
        by=work.principal.user,
        is_unit_known=work.principal.sees(org_unit),
        is_source_known=source in SOURCES,
    )
    work.decide(DECIDER, id_, command)
    work.require_version(DECIDER, id_)
    return id_


def revoke(work: Work, id_: UUID) -> UUID:
    """From now on the unit's SQL can't use the table; runs of approved definitions fail at the gate too."""
    work.subject(DECIDER, id_, lambda grant: grant.org_unit)
    work.decide(DECIDER, id_, RevokeSource(work.principal.user))
    return id_


def granted_tables(work: Work, org_unit: str, source: str) -> tuple[GrantedTable, ...]:
    """What the unit may use of the source now."""
    found = []
    for table in SOURCES.get(source, {}):
        grant = work.state(DECIDER, grant_id(org_unit, source, table))
        if grant.status is Status.GRANTED:
            found.append(GrantedTable(table, grant.columns))
    return tuple(found)


def granted_references(work: Work, org_unit: str, source: str, sql: str) -> tuple[Reference, ...]:
    """The grants of the tables that the SQL mentions, in the revisions in which they stand now."""
    ids = [grant_id(org_unit, source, table) for table in SOURCES.get(source, {}) if mentions(sql, table)]
    return tuple(Reference(id_, work.state(DECIDER, id_).revision) for id_ in ids)


def everything() -> Listing:
    """All that can be granted."""
    return [(code, tuple(tables.values())) for code, tables in SOURCES.items()]


def usable(work: Work, org_unit: str) -> Listing:
    """What the unit may use: no source without a table, no table without a column."""
    found = []
    for code, tables in SOURCES.items():
        granted = granted_tables(work, org_unit, code)
        shown = [(tables[grant.name], grant.columns) for grant in granted]
        cut = [
            replace(table, columns=tuple(each for each in table.columns if each.name in columns))
            for table, columns in shown
        ]
        if cut:
            found.append((code, cut))
    return found
