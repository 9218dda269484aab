"""What analysts' SQL may be made of: node by node, argument by argument, function by function.

Everything is forbidden that is not named here. A class that a newer parser adds, or an argument that it
adds to a class, is forbidden until somebody lets it in.
"""

from collections.abc import Mapping

from sqlglot import exp

_UPPER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def fold(name: str) -> str:
    """The name in ASCII lower case; other letters stay, as they do in DuckDB."""
    return name.translate(_UPPER)


_ARGUMENTS: dict[type[exp.Expr], str] = {
    # A query and its clauses.
    exp.Select:
        "with_ expressions distinct from_ joins where group having qualify windows order limit offset",
    exp.Union: "with_ this expression distinct order limit offset",
    exp.Except: "with_ this expression distinct order limit offset",
    exp.Intersect: "with_ this expression distinct order limit offset",
    exp.Subquery: "this alias",
    exp.With: "expressions",
    exp.CTE: "this alias",
    exp.From: "this",
    exp.Join: "this on using side kind",
    exp.Table: "this alias",
    exp.TableAlias: "this columns",
    exp.Where: "this",
    exp.Group: "expressions",
    exp.Rollup: "expressions",
    exp.Cube: "expressions",
    exp.GroupingSets: "expressions",
    exp.Having: "this",
    exp.Qualify: "this",
    exp.Order: "expressions",
    exp.Ordered: "this desc nulls_first",
    exp.Limit: "expression",
    exp.Offset: "expression",
    exp.Distinct: "expressions",
    exp.Alias: "this alias",
    # Leaves.
    exp.Column: "this table",
    exp.Identifier: "this quoted",
    exp.Star: "",
    exp.Literal: "this is_string",
    exp.Boolean: "this",
    exp.Null: "",
    exp.Placeholder: "this",
    exp.Var: "this",
    exp.Interval: "this unit",
    exp.DataType: "this expressions nested",
    exp.DataTypeParam: "this",
    # Operators.
    exp.Paren: "this",
    exp.Tuple: "expressions",
    exp.Not: "this",
    exp.Neg: "this",
    exp.In: "this expressions query",
    exp.Between: "this low high",
    exp.Like: "this expression negate",
    exp.ILike: "this expression negate",
    exp.Is: "this expression negate",
    **dict.fromkeys(
        (exp.And, exp.Or, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ,
         exp.NullSafeNEQ, exp.Escape, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.DPipe),
        "this expression typed safe",
    ),
    exp.Filter: "this expression",
    exp.WithinGroup: "this expression",
    exp.Window: "this partition_by order spec alias over",
    exp.WindowSpec: "kind start start_side end end_side",
    # Expressions with a syntax of their own.
    exp.Case: "this ifs default",
    exp.If: "this true false",
    exp.Exists: "this",
    exp.Cast: "this to",
    exp.TryCast: "this to safe requires_string",
    exp.Extract: "this expression",
    exp.Trim: "this expression position",
}  # fmt: skip

ARGUMENTS: Mapping[type[exp.Expr], frozenset[str]] = {
    kind: frozenset(names.split()) for kind, names in _ARGUMENTS.items()
}
"""Each kind of node with the arguments that it may have."""

FUNCTIONS: frozenset[type[exp.Expr]] = frozenset({
    # Aggregates whose answer does not depend on the order of rows.
    exp.Count, exp.CountIf, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Median, exp.Stddev, exp.StddevSamp,
    exp.StddevPop, exp.Variance, exp.VariancePop, exp.PercentileCont, exp.PercentileDisc, exp.LogicalAnd,
    exp.LogicalOr, exp.Grouping,
    # Windows.
    exp.RowNumber, exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist, exp.Ntile, exp.Lag, exp.Lead,
    exp.FirstValue, exp.LastValue, exp.NthValue,
    # Values.
    exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least,
    exp.Abs, exp.Round, exp.Floor, exp.Ceil, exp.Sign, exp.Sqrt, exp.Pow, exp.Ln, exp.Log, exp.Exp,
    exp.Lower, exp.Upper, exp.Length, exp.Substring, exp.Left, exp.Right, exp.Replace, exp.Concat,
    exp.StrPosition, exp.Contains, exp.StartsWith, exp.EndsWith, exp.RegexpLike, exp.MD5, exp.SHA2,
    exp.TimestampTrunc, exp.DateDiff, exp.DateAdd, exp.DateFromParts, exp.Year, exp.Month, exp.Day,
    exp.Quarter, exp.Week, exp.DayOfWeek, exp.DayOfWeekIso, exp.DayOfMonth, exp.DayOfYear, exp.LastDay,
    exp.TimeToStr, exp.StrToTime, exp.ToDays,
})  # fmt: skip
"""Functions that the parser knows; they may have any of its arguments, but no keyword among them."""

NAMED_FUNCTIONS = frozenset({
    "date_part", "date_sub", "weekday", "to_months", "prefix", "suffix", "md5_number_lower",
    "md5_number_upper",
})  # fmt: skip
"""Functions that the parser passes on by name."""

NOT_DETERMINISTIC = frozenset({
    exp.Rand, exp.Randn, exp.Uuid, exp.CurrentDate, exp.CurrentTime, exp.CurrentTimestamp,
    exp.CurrentDatetime,
    exp.Localtime, exp.Localtimestamp, exp.First, exp.Last, exp.AnyValue, exp.ArgMax, exp.ArgMin, exp.Mode,
    exp.ArrayAgg, exp.GroupConcat, exp.TableSample,
})  # fmt: skip
NOT_DETERMINISTIC_NAMES = frozenset({
    "now", "random", "setseed", "gen_random_uuid", "uuidv4", "uuidv7", "nextval", "currval", "txid_current",
    "get_current_timestamp", "get_current_time", "transaction_timestamp", "arbitrary",
})  # fmt: skip
"""Only named to tell people why; they would be forbidden anyway."""

ORDERED_WINDOWS = (
    exp.RowNumber, exp.Ntile, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue,
)  # fmt: skip
"""Window functions that mean nothing without an order."""

KEYWORDS: Mapping[tuple[type[exp.Expr], str], frozenset[str]] = {
    (exp.Join, "side"): frozenset({"LEFT", "RIGHT", "FULL"}),
    (exp.Join, "kind"): frozenset({"INNER", "OUTER", "CROSS", "SEMI", "ANTI"}),
    (exp.Window, "over"): frozenset({"OVER"}),
    (exp.WindowSpec, "kind"): frozenset({"ROWS", "RANGE", "GROUPS"}),
    (exp.WindowSpec, "start"): frozenset({"UNBOUNDED", "CURRENT ROW"}),
    (exp.WindowSpec, "end"): frozenset({"UNBOUNDED", "CURRENT ROW"}),
    (exp.WindowSpec, "start_side"): frozenset({"PRECEDING", "FOLLOWING"}),
    (exp.WindowSpec, "end_side"): frozenset({"PRECEDING", "FOLLOWING"}),
    (exp.Trim, "position"): frozenset({"LEADING", "TRAILING", "BOTH"}),
    (exp.Var, "this"): frozenset(
        f"{unit}{plural}"
        for unit in (
            "DAY",
            "WEEK",
            "MONTH",
            "QUARTER",
            "YEAR",
            "HOUR",
            "MINUTE",
            "SECOND",
            "DOW",
            "ISODOW",
            "DOY",
        )
        for plural in ("", "S")
    ),
}
"""Arguments that the parser keeps as text and the generator writes as they are: the words for them."""

TEXTS = frozenset({
    (exp.Identifier, "this"), (exp.Literal, "this"), (exp.Placeholder, "this"), (exp.Anonymous, "this"),
})  # fmt: skip
"""Arguments that are any text, because the generator quotes them or another rule judges them."""

TYPES = frozenset({
    exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT, exp.DType.INT128, exp.DType.DOUBLE,
    exp.DType.DECIMAL, exp.DType.VARCHAR, exp.DType.TEXT, exp.DType.DATE, exp.DType.TIMESTAMP,
    exp.DType.TIMESTAMPNTZ, exp.DType.BOOLEAN,
})  # fmt: skip
"""What a value may be cast to."""
