"""The target of an activity as one query: each customer of its groups once, and why he is left out, if he is.

One pass over one snapshot gives target and applicable, so the two figures always belong together.
"""

from collections.abc import Sequence

from application.group_sql import CUSTOMER_ID
from application.shared.engines import GrantedTable, OutputField, Parameter, Query
from domain.activity_figures import Exclusion
from domain.warehouse_schema import BANK

EXCLUDED_FOR = "excluded_for"
ACTIVE = "ACTIVE"
"""The status of a card that can be used."""
_SELECT = """\
select t.customer_id as customer_id, {case} as excluded_for
from ({groups}) t
join customers c on c.customer_id = t.customer_id"""
_TESTS = {
    Exclusion.OVERDUE: "coalesce(c.is_overdue, false)",
    Exclusion.OTHER_UNIT: "coalesce(c.org_unit <> :org_unit, true)",
    Exclusion.NO_ACTIVE_CARD: "not exists (select 1 from cards k where k.customer_id = t.customer_id"
    " and k.status = :active)",
}


def group_prefix(index: int) -> str:
    """What the parameters of the group's query begin with, so that groups don't share any."""
    return f"g{index}p"


def target_query(groups: Sequence[Query], exclusions: Sequence[Exclusion], org_unit: str) -> Query:
    """The union of the groups' queries, each with its own prefix; exclusions are judged in their order."""
    assert groups, "there is somebody to count"
    cases = " ".join(f"when {_TESTS[each]} then '{each.value}'" for each in exclusions)
    sql = _SELECT.format(
        case=f"case {cases} end" if cases else "cast(null as varchar)",
        groups=" union ".join(f"select g.customer_id from ({query.sql}) g" for query in groups),
    )
    own = {
        Exclusion.OTHER_UNIT: Parameter("org_unit", org_unit),
        Exclusion.NO_ACTIVE_CARD: Parameter("active", ACTIVE),
    }
    return Query(
        sql=sql,
        source=BANK,
        parameters=(
            *(parameter for query in groups for parameter in query.parameters),
            *(own[each] for each in exclusions if each in own),
        ),
        primary_index=(CUSTOMER_ID,),
        outputs=(OutputField(CUSTOMER_ID, is_personal=False), OutputField(EXCLUDED_FOR, is_personal=False)),
        granted=_granted(groups),
        org_units=tuple(sorted({unit for query in groups for unit in query.org_units})),
    )


def _granted(groups: Sequence[Query]) -> tuple[GrantedTable, ...]:
    read: dict[str, set[str]] = {
        "customers": {CUSTOMER_ID, "org_unit", "is_overdue"},
        "cards": {CUSTOMER_ID, "status"},
    }
    for query in groups:
        for table in query.granted:
            read.setdefault(table.name, set()).update(table.columns)
    return tuple(GrantedTable(name, tuple(sorted(columns))) for name, columns in sorted(read.items()))
