"""A sound segment content, and the small ways in which it may differ."""

from uuid import UUID

from domain.segment_contents import (
    DeclaredParameter,
    FieldFormat,
    MappedColumn,
    Output,
    ParameterType,
    SegmentContent,
)

WORK_ORDER = UUID(int=0x30)
SQL = """select c.customer_id, c.mobile, sum(t.amount_minor) as amount_minor
from customers c join transactions t on t.customer_id = c.customer_id
where t.booked_on >= :data_from and t.booked_on < :data_to and c.level = :level
group by c.customer_id, c.mobile"""
CONTENT = SegmentContent(
    name="高端 Premium diners",
    description="Spent much at restaurants",
    sql=SQL,
    source="bank",
    primary_index=("customer_id",),
    outputs=(Output("customer_id", False), Output("mobile", True), Output("amount_minor", False)),
    parameters=(DeclaredParameter("level", ParameterType.TEXT),),
    mapping=(
        MappedColumn("CUSTNO", "customer_id", width=10, is_zero_padded=True),
        MappedColumn("MOBILE", "mobile"),
        MappedColumn("AMT", "amount_minor", format=FieldFormat.CENTS),
    ),
)
