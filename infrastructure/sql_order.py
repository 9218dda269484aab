"""Makes the order of rows total where an answer depends on it: the same data always gives the same answer.

Rows that a query's own ORDER BY leaves tied come in any order, another one each time that they are sorted in
parallel. Under LIMIT and OFFSET, the outputs break ties: rows that are then still tied are alike. For
functions over windows, the columns do that the query reads of its tables, or, where it groups, what it groups
by.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlglot import exp

from application.shared.engines import SqlRefusal
from infrastructure.sql_allowed import ORDERED_WINDOWS, fold
from infrastructure.sql_faults import SqlFaults

_FRACTIONS = (
    exp.Div, exp.Sqrt, exp.Pow, exp.Ln, exp.Log, exp.Exp, exp.Median, exp.PercentileCont,
)  # fmt: skip
_MOMENTS = (exp.Stddev, exp.StddevSamp, exp.StddevPop, exp.Variance, exp.VariancePop)
_SETS = (exp.Rollup, exp.Cube, exp.GroupingSets)


def is_exact(tree: exp.Expr) -> bool:
    """Whether nothing is added up that was rounded: the last digits of such sums depend on who adds first.

    All that the warehouse holds is whole. An average of that is exact; what is made of it is not.
    """
    averages = sum(1 for _ in tree.find_all(exp.Avg))
    sums = averages + sum(1 for _ in tree.find_all(exp.Sum))
    casts = (cast for cast in tree.find_all(exp.Cast, exp.TryCast) if cast.to.this is exp.DType.DOUBLE)
    is_rounded = any(tree.find_all(*_FRACTIONS)) or any(casts) or (averages > 0 and sums > 1)
    return not any(tree.find_all(*_MOMENTS)) and not (is_rounded and sums > 0)


def settle_limit(query: exp.Expr, width: int) -> None:
    """Order what is cut off by its outputs, too; `width` is how many they are."""
    order = query.args.get("order")
    if order is not None and (query.args.get("limit") or query.args.get("offset")):
        order.set("expressions", [*order.expressions, *map(_ascending, _places(width))])


def settle_windows(select: exp.Select, columns: Collection[exp.Column], faults: SqlFaults) -> bool:
    """Order windows by `columns`, too, where an answer depends on the order of rows; whether there was one.

    `columns` are all that tell one row from another for this query.
    """
    named = {fold(window.name): window for window in select.args.get("windows") or ()}
    found = False
    for window in list(_windows(select)):
        if not _written_out(window, named):
            faults.add(SqlRefusal.SQL_NOT_DETERMINISTIC, window, name="WINDOW")
        elif _depends_on_order(window):
            order, keys = window.args.get("order"), _keys(select, columns)
            if order is None or keys is None:
                faults.add(SqlRefusal.SQL_NOT_DETERMINISTIC, window, name=_function(window).key.upper())
            else:
                found = True
                order.set("expressions", [*order.expressions, *(_ascending(key.copy()) for key in keys)])
    return found


def _windows(select: exp.Select) -> Iterator[exp.Window]:
    """The windows that functions have in this query itself; what is nested was settled before."""
    for part in select.walk(prune=lambda each: isinstance(each, exp.Query) and each is not select):
        if isinstance(part, exp.Window) and part.arg_key != "windows":
            yield part


def _function(window: exp.Window) -> exp.Expr:
    """Without its filter."""
    function = window.this
    while isinstance(function, exp.Filter):
        function = function.this
    assert isinstance(function, exp.Expr)
    return function


def _written_out(window: exp.Window, named: Mapping[str, exp.Window]) -> bool:
    """Have the window's own definition in place of its name, for another function may need that as it is.

    False where the name rests on a name again.
    """
    alias = window.args.get("alias")
    if alias is None:
        return True
    definition = named.get(fold(alias.name))
    if definition is None or definition.args.get("alias") is not None:
        return False
    for part in ("partition_by", "order", "spec"):
        given = definition.args.get(part)
        if given and not window.args.get(part):
            window.set(part, [each.copy() for each in given] if isinstance(given, list) else given.copy())
    window.set("alias", None)
    return True


def _depends_on_order(window: exp.Window) -> bool:
    """Whether rows that are tied in the window's order may get different answers; ranks never do."""
    spec = window.args.get("spec")
    counts_rows = spec is not None and str(spec.args.get("kind")).upper() == "ROWS"
    return counts_rows or isinstance(_function(window), ORDERED_WINDOWS)


def _keys(select: exp.Select, columns: Collection[exp.Column]) -> Sequence[exp.Expr] | None:
    """What tells the rows apart that windows are made of; None where that can't be said."""
    group = select.args.get("group")
    if group is None:
        return () if any(_aggregates(select)) else tuple(columns)
    if group.find(*_SETS) is not None:
        return None
    read = {fold(column.name) for column in columns if not column.table}
    aliased = {fold(part.alias): part.this for part in select.expressions if isinstance(part, exp.Alias)}
    keys: list[exp.Expr] = []
    for key in group.expressions:
        if isinstance(key, exp.Literal) and not key.is_string:
            key = select.expressions[int(key.this) - 1].unalias()
        elif isinstance(key, exp.Column) and not key.table and fold(key.name) not in read:
            key = aliased.get(fold(key.name), key)
        keys.append(key)
    return keys


def _aggregates(select: exp.Select) -> Iterator[exp.Expr]:
    """Functions over groups; those over windows are none."""
    for part in select.walk(prune=lambda each: isinstance(each, exp.Query) and each is not select):
        if isinstance(part, exp.AggFunc):
            around = part.parent
            while isinstance(around, exp.Filter):
                around = around.parent
            if not isinstance(around, exp.Window):
                yield part


def _places(width: int) -> Iterator[exp.Expr]:
    return (exp.Literal.number(place) for place in range(1, width + 1))


def _ascending(key: exp.Expr) -> exp.Ordered:
    return exp.Ordered(this=key)
