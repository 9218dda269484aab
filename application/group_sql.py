"""A customer group as SQL over the warehouse: pure, every value bound, one row for each customer in it.

What is not known (NULL) makes a condition false, and its NOT true: each condition is `coalesce(…, false)`.
All aggregates of a rule come from one pass over the transactions; whoever has none counts 0, sums up to 0
and has no last one. A window of n days ends with the day before the business date.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from application.shared.engines import GrantedTable, OutputField, Parameter, Query
from domain.group_rules import (
    AGGREGATES,
    SETS,
    TYPES,
    Comparison,
    Condition,
    Dimension,
    Rule,
    Transactions,
    Window,
    conditions,
    value_of,
)
from domain.shared.field_rules import FieldType
from domain.shared.refusal import CommonRefusal, Refused
from domain.warehouse_schema import BANK

CUSTOMER_ID = "customer_id"
BUSINESS_DATES = {"least": "1970-01-01", "most": str(date.max)}
"""What a day that comes too early for a window is told; nothing was booked before."""
TEXT_CHARACTERS_MAX = 1_000
"""The longest text that one parameter may hold."""
_COLUMNS = {
    Dimension.AGE: "birth_year",
    Dimension.GENDER: "gender",
    Dimension.CITY: "city",
    Dimension.LEVEL: "level",
    Dimension.ORG_UNIT: "org_unit",
    Dimension.IS_OVERDUE: "is_overdue",
    Dimension.OPENED_ON: "opened_on",
}
_OPERATORS = {
    Comparison.EQUAL: "=",
    Comparison.NOT_EQUAL: "<>",
    Comparison.LESS_THAN: "<",
    Comparison.AT_MOST: "<=",
    Comparison.GREATER_THAN: ">",
    Comparison.AT_LEAST: ">=",
}
_SELECT = """\
{activity}select c.customer_id as customer_id
from customers c{join}
where c.org_unit in ({units})
  and {rule}"""
_ACTIVITY = """\
with {name} as (
    select t.customer_id as customer_id, {aggregates}
    from transactions t
    group by t.customer_id
)
"""
_JOIN = "\nleft join {name} a on a.customer_id = c.customer_id"


@dataclass(frozen=True, slots=True)
class Extraction:
    """When a group is looked at. The timeframe is half-open; a rule may do without it."""

    business_date: date
    data_from: date | None = None
    data_to: date | None = None


def compiled(
    rule: Rule | None,
    members: tuple[str, ...] | None,
    org_units: Iterable[str],
    extraction: Extraction,
    prefix: str = "p",
) -> Query:
    """The query of a sound rule or list, over customers of these units (none: nobody). `prefix` is in all its
    names, so that queries with different ones can be parts of one.

    Refuse a rule that asks for the extraction's timeframe when there is none.
    """
    units = tuple(sorted(org_units))
    writer = _Writer(extraction, prefix)
    granted = [GrantedTable("customers", ("customer_id", "org_unit"))]
    scope = writer.bound_all(units)
    if rule is None:
        assert members is not None, "a sound group has a rule or a list"
        sql = _SELECT.format(activity="", join="", units=scope, rule=writer.members(members))
    else:
        where = writer.node(rule)
        activity, join = "", ""
        if writer.aggregates:
            name, aggregates = f"activity_{prefix}", ", ".join(writer.aggregates.values())
            activity, join = _ACTIVITY.format(name=name, aggregates=aggregates), _JOIN.format(name=name)
            granted.append(GrantedTable("transactions", tuple(sorted({CUSTOMER_ID, *writer.read}))))
        asked = {_COLUMNS[one.dimension] for one in conditions(rule) if one.dimension in _COLUMNS}
        granted[0] = GrantedTable("customers", tuple(sorted({CUSTOMER_ID, "org_unit", *asked})))
        sql = _SELECT.format(activity=activity, join=join, units=scope, rule=where)
    return Query(
        sql=sql,
        source=BANK,
        parameters=tuple(writer.parameters),
        primary_index=(CUSTOMER_ID,),
        outputs=(OutputField(CUSTOMER_ID, is_personal=False),),
        granted=tuple(granted),
        org_units=units,
    )


@dataclass(slots=True)
class _Writer:
    """Turns nodes into text; `parameters`, `aggregates` and the transactions' columns `read` gather up."""

    extraction: Extraction
    prefix: str = "p"
    parameters: list[Parameter] = field(default_factory=list)
    aggregates: dict[tuple[Dimension, Transactions], str] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)

    def node(self, rule: Rule) -> str:
        if rule.condition is not None:
            return self.condition(rule.condition)
        if rule.negated is not None:
            return f"(not {self.node(rule.negated)})"
        joined, members = (" and ", rule.all_of) if rule.all_of is not None else (" or ", rule.any_of)
        assert members, "a sound rule joins something"
        return f"({joined.join(map(self.node, members))})"

    def condition(self, condition: Condition) -> str:
        subject = self._subject(condition)
        values = [value_of(condition, text) for text in condition.values]
        assert None not in values, "a sound rule has sound values"
        if condition.comparison is Comparison.IS_KNOWN:
            return f"({subject} is not null)"
        if TYPES[condition.dimension] is FieldType.BOOLEAN:
            return f"coalesce({subject}, false)" if values == [True] else f"coalesce(not {subject}, false)"
        bound = [self.bound(value) for value in values if value is not None]
        if condition.comparison is Comparison.BETWEEN:
            test = f"{subject} between {bound[0]} and {bound[1]}"
        elif condition.comparison in SETS:
            word = "in" if condition.comparison is Comparison.IN else "not in"
            test = f"{subject} {word} ({', '.join(bound)})"
        else:
            test = f"{subject} {_OPERATORS[condition.comparison]} {bound[0]}"
        return f"coalesce({test}, false)"

    def bound(self, value: str | int | date) -> str:
        name = f"{self.prefix}{len(self.parameters) + 1}"
        self.parameters.append(Parameter(name, value))
        return f":{name}"

    def bound_all(self, values: Iterable[str]) -> str:
        return ", ".join([self.bound(value) for value in values]) or "null"

    def members(self, members: Iterable[str]) -> str:
        """A long list as few values: the one part of it, found by halving, that can hold the customer's id.

        An id has no comma, so it can't be found across two others.
        """
        parts: list[list[str]] = []
        for member in sorted(members):
            if not parts or sum(map(len, parts[-1])) + len(parts[-1]) + len(member) + 2 > TEXT_CHARACTERS_MAX:
                parts.append([])
            parts[-1].append(member)
        return f"contains({self._part(parts)}, ',' || c.customer_id || ',')"

    def _part(self, parts: Sequence[Sequence[str]]) -> str:
        if len(parts) == 1:
            return self.bound(f",{','.join(parts[0])},")
        middle = len(parts) // 2
        first = self.bound(parts[middle][0])
        below, above = self._part(parts[:middle]), self._part(parts[middle:])
        return f"case when c.customer_id < {first} then {below} else {above} end"

    def _subject(self, condition: Condition) -> str:
        match condition.dimension:
            case Dimension.AGE:
                return f"({self.bound(self.extraction.business_date.year)} - c.birth_year)"
            case dimension if dimension not in AGGREGATES:
                return f"c.{_COLUMNS[dimension]}"
        assert condition.transactions is not None, "a sound aggregate has its transactions"
        name = self._aggregate(condition.dimension, condition.transactions)
        if condition.dimension is Dimension.LAST_TRANSACTION_ON:
            return f"a.{name}"
        return f"coalesce(a.{name}, 0)"

    def _aggregate(self, dimension: Dimension, chosen: Transactions) -> str:
        key = dimension, chosen
        if key not in self.aggregates:
            name = f"a{len(self.aggregates) + 1}"
            function, what = {
                Dimension.TRANSACTION_COUNT: ("count", "1"),
                Dimension.TRANSACTION_SUM: ("sum", "t.amount_minor"),
                Dimension.LAST_TRANSACTION_ON: ("max", "t.booked_on"),
            }[dimension]
            self.read |= {what[2:]} if what != "1" else set()
            case = f"case when {self._filter(chosen)} then {what} end"
            self.aggregates[key] = f"{function}({case}) as {name}"
        return f"a{1 + list(self.aggregates).index(key)}"

    def _filter(self, chosen: Transactions) -> str:
        starts_on, ends_on = self._dates(chosen.window)
        tests = [f"t.booked_on >= {self.bound(starts_on)}", f"t.booked_on < {self.bound(ends_on)}"]
        self.read.add("booked_on")
        for column, members in (
            ("merchant_category", chosen.category_in),
            ("channel", chosen.channel_in),
            ("currency", (chosen.currency,) if chosen.currency else ()),
        ):
            if members:
                tests.append(f"t.{column} in ({self.bound_all(members)})")
                self.read.add(column)
        return " and ".join(tests)

    def _dates(self, window: Window) -> tuple[date, date]:
        """The window's first day and the day after its last one."""
        at = self.extraction
        if window.days is not None:
            try:
                return at.business_date - timedelta(window.days), at.business_date
            except OverflowError:
                raise Refused.because(CommonRefusal.OUT_OF_RANGE, "business_date", **BUSINESS_DATES) from None
        if window.starts_on is not None and window.ends_on is not None:
            return window.starts_on, window.ends_on
        if at.data_from is None or at.data_to is None:
            raise Refused.because(CommonRefusal.REQUIRED, "data_from")
        return at.data_from, at.data_to
