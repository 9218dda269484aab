"""Which tables and columns a query reads, and what its outputs are made of.

Every name must resolve here, among granted columns only. Where an engine could resolve it in more than one
way, all ways count: for the grants, and for whether an output is personal. The case of ASCII does not matter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlglot import exp

from application.shared.engines import SqlRefusal
from domain.warehouse_schema import TABLES
from infrastructure.sql_allowed import fold
from infrastructure.sql_faults import SqlFaults
from infrastructure.sql_order import settle_limit, settle_windows

SCANS_MAX = 200
"""Tables read, each time that a common table expression is used counted anew."""
WEIGHT_MAX = 100_000
"""References in an output when every named expression is written out."""


class Output(NamedTuple):
    """A column of a table or query; `weight` is how many references it takes when written out."""

    name: str | None
    is_personal: bool
    weight: int


@dataclass(frozen=True, slots=True)
class Source:
    """What a table or query gives. `table` is the warehouse's; `is_whole`: all its columns are granted.

    `is_told`: which rows there are tells of personal columns.
    """

    columns: tuple[Output, ...]
    scans: int
    table: str | None = None
    is_whole: bool = True
    is_told: bool = False


@dataclass(slots=True)
class _Scope:
    sources: dict[str, Source]
    parent: "_Scope | None"
    ctes: Mapping[str, Source]
    merged: set[str] = field(default_factory=set)
    """Columns that a USING has made one."""
    aliases: dict[str, Output] = field(default_factory=dict)
    read: dict[tuple[str, str], tuple[exp.Column, list[Source]]] = field(default_factory=dict)
    """Columns by qualifier and name, each as it stands in the text, with the sources that have it."""
    is_broken: bool = False
    """A table of it was refused, so nothing can be said about its columns."""


class Names:
    """Resolves one query. `uses` tells afterwards which columns of which tables it reads."""

    def __init__(self, granted: Mapping[str, frozenset[str]], faults: SqlFaults) -> None:
        self._granted = granted
        self._faults = faults
        self._cte_names: set[str] = set()
        self._is_personal = False
        self._weight = 0
        self._scans = 0
        self.uses: dict[str, set[str]] = {}

    def query(
        self, node: exp.Expr, ctes: Mapping[str, Source] | None = None, outer: _Scope | None = None
    ) -> Source:
        """What the query gives. `outer` is the scope whose columns it may refer to."""
        scans_before, self._scans = self._scans, 0
        while isinstance(node, exp.Subquery):
            node = node.this
        seen = self._with(node, ctes or {})
        is_told = False
        if isinstance(node, exp.SetOperation):
            columns, is_told = self._set_operation(node, seen, outer)
        elif isinstance(node, exp.Select):
            columns, is_told = self._select(node, seen, outer)
        else:
            self._faults.add(SqlRefusal.SQL_CONSTRUCT_FORBIDDEN, node, name=node.key)
            columns = ()
        if self._scans > SCANS_MAX:
            self._faults.add(SqlRefusal.SQL_TOO_COMPLEX, node, name=f"{SCANS_MAX} tables")
        if is_told:
            columns = tuple(column._replace(is_personal=True) for column in columns)
        source = Source(columns, min(self._scans, SCANS_MAX + 1), is_told=is_told)
        self._scans = scans_before
        return source

    def _with(self, node: exp.Expr, ctes: Mapping[str, Source]) -> Mapping[str, Source]:
        clause = node.args.get("with_")
        seen = dict(ctes)
        for cte in clause.expressions if clause else ():
            name = fold(cte.alias)
            if name in TABLES or name in self._cte_names:
                self._faults.add(SqlRefusal.SQL_COLUMN_AMBIGUOUS, cte.args["alias"], name=name)
            self._cte_names.add(name)
            seen[name] = self._renamed(self.query(cte.this, seen), cte.args["alias"])
        return seen

    def _set_operation(
        self, node: exp.SetOperation, ctes: Mapping[str, Source], outer: _Scope | None
    ) -> tuple[tuple[Output, ...], bool]:
        operands: list[exp.Expr] = []
        left: exp.Expr = node
        while isinstance(left, exp.SetOperation) and (left is node or not left.args.get("with_")):
            operands.append(left.expression)
            left = left.this
            while isinstance(left, exp.Subquery) and isinstance(left.this, exp.Subquery):
                left = left.this
        sides, is_told = [], False
        for operand in (left, *reversed(operands)):
            side = self.query(operand, ctes, outer)
            self._scans += side.scans
            sides.append(side.columns)
            is_told |= side.is_told
        if len({len(side) for side in sides}) > 1:
            self._faults.add(SqlRefusal.SQL_DOES_NOT_BIND, node, name="set operation")
        columns = tuple(
            Output(parts[0].name, any(part.is_personal for part in parts), self._capped(parts, node))
            for parts in zip(*sides, strict=False)
        )
        scope = _Scope({"": Source(columns, 0)}, None, ctes)
        settle_limit(node, len(columns))
        self._clauses(node, scope, ("order", "limit", "offset"), are_aliases_seen=False)
        # Except and intersect keep rows by the values of either side.
        is_compared = not isinstance(node, exp.Union) and any(column.is_personal for column in columns)
        return columns, is_told or is_compared

    def _select(
        self, node: exp.Select, ctes: Mapping[str, Source], outer: _Scope | None
    ) -> tuple[tuple[Output, ...], bool]:
        scope = _Scope({}, outer, ctes)
        is_told = False
        joins: list[exp.Join] = node.args.get("joins") or []
        if len(joins) > SCANS_MAX:  # each column is looked for in all of them
            self._faults.add(SqlRefusal.SQL_TOO_COMPLEX, joins[SCANS_MAX], name=f"{SCANS_MAX} tables")
            return (), False
        if clause := node.args.get("from_"):
            self._add_source(scope, clause.this)
        unseen = []
        for join in joins:
            self._add_source(scope, join.this)
            if join.kind in ("SEMI", "ANTI"):
                unseen += list(scope.sources)[-1:]
            for identifier in join.args.get("using") or ():
                is_told |= self._merge(scope, identifier)
        is_told |= any(source.is_told for source in scope.sources.values())
        scope.aliases = {
            fold(part.alias): Output(fold(part.alias), False, 1)
            for part in node.expressions
            if isinstance(part, exp.Alias)
        }
        for join in joins:
            if (on := join.args.get("on")) is not None:
                is_told |= self._expression(on, scope, is_filter=True)[0]
        for name in unseen:
            scope.sources.pop(name, None)
        self._expand_stars(node, scope)
        is_told |= self._clauses(node, scope, ("where",), are_aliases_seen=False, are_filters=True)
        columns = []
        for part in node.expressions:
            is_personal, weight = self._expression(part, scope)
            columns.append(Output(_output_name(part), is_personal, weight))
            if isinstance(part, exp.Alias):
                scope.aliases[fold(part.alias)] = columns[-1]
        is_told |= self._clauses(node, scope, ("having", "qualify"), True, are_filters=True)
        self._clauses(node, scope, ("group", "windows", "order", "limit", "offset"), True)
        settle_limit(node, len(columns))
        if not scope.is_broken:
            is_told |= self._settle_windows(node, scope)
        return tuple(columns), is_told

    def _settle_windows(self, node: exp.Select, scope: _Scope) -> bool:
        """Break ties in windows; whether something personal breaks them, which the outputs then tell.

        Instead of a personal column of the warehouse its table's key does.
        """
        ties: dict[tuple[str, str], exp.Column] = {}
        keys: list[tuple[Source, str]] = []
        is_personal = False
        for place, (column, holders) in scope.read.items():
            seen = {id(source): name for name, source in scope.sources.items()}
            holders = [source for source in holders if id(source) in seen]
            if not holders:
                continue
            for source in holders:
                key = TABLES[source.table].key if source.table else None
                if not any(each.is_personal for each in source.columns if each.name == place[1]):
                    ties[place] = column
                elif any(each.name == key for each in source.columns) and key:
                    name = seen[id(source)]
                    ties[name, key] = exp.column(key, name, quoted=True)
                    keys.append((source, key))
                else:
                    ties[place] = column
                    is_personal = True
        if not settle_windows(node, ties.values(), self._faults):
            return False
        for source, key in keys:
            self._read(source, key)
        return is_personal

    def _clauses(
        self,
        node: exp.Expr,
        scope: _Scope,
        names: Iterable[str],
        are_aliases_seen: bool,
        are_filters: bool = False,
    ) -> bool:
        """Resolve the clauses; whether any of them reads something personal."""
        found = False
        for name in names:
            clause = node.args.get(name)
            for part in clause if isinstance(clause, list) else [clause] if clause is not None else []:
                found |= self._expression(part, scope, are_aliases_seen, are_filters)[0]
        return found

    def _add_source(self, scope: _Scope, node: exp.Expr) -> None:
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            name = fold(node.name)
            if name in scope.ctes:
                source = scope.ctes[name]
            elif name in self._granted:
                source = self._base(name)
            else:
                self._faults.add(SqlRefusal.SQL_TABLE_NOT_GRANTED, node, name=node.name)
                scope.is_broken = True
                return
        elif isinstance(node, exp.Subquery):
            name, source = "", self.query(node, scope.ctes)
        else:
            self._faults.add(SqlRefusal.SQL_CONSTRUCT_FORBIDDEN, node, name=node.key)
            return
        self._scans += source.scans
        alias = node.args.get("alias")
        name = fold(node.alias) or name or f"\0{len(scope.sources)}"
        if name in scope.sources:
            self._faults.add(SqlRefusal.SQL_COLUMN_AMBIGUOUS, node, name=name)
        scope.sources[name] = self._renamed(source, alias)

    def _base(self, name: str) -> Source:
        self.uses.setdefault(name, set())
        table, granted = TABLES[name], self._granted[name]
        return Source(
            tuple(
                Output(column.name, column.is_personal, 1)
                for column in table.columns
                if column.name in granted
            ),
            1,
            name,
            is_whole=granted >= set(table.column_names),
        )

    def _renamed(self, source: Source, alias: exp.Expr | None) -> Source:
        """The source under the column names of an alias such as t(a, b)."""
        names = alias.args.get("columns") or [] if alias is not None else []
        if not names:
            return source
        if source.table is not None or len(names) > len(source.columns):
            self._faults.add(SqlRefusal.SQL_CONSTRUCT_FORBIDDEN, alias, name="column aliases")
            return source
        renamed = [old._replace(name=fold(new.name)) for old, new in zip(source.columns, names, strict=False)]
        return Source((*renamed, *source.columns[len(names) :]), source.scans)

    def _merge(self, scope: _Scope, identifier: exp.Expr) -> bool:
        """Make one column of those of that name; whether any of them is personal."""
        name = fold(identifier.name)
        holders = [
            source for source in scope.sources.values() if any(name == each.name for each in source.columns)
        ]
        if len(holders) < 2:
            self._faults.add(SqlRefusal.SQL_COLUMN_NOT_GRANTED, identifier, name=identifier.name)
        for source in holders:
            self._read(source, name)
        scope.merged.add(name)
        return any(each.is_personal for source in holders for each in source.columns if each.name == name)

    def _expand_stars(self, node: exp.Select, scope: _Scope) -> None:
        """Write a star out as columns. One star at most, of one source: else columns could multiply."""
        stars = [part for part in node.expressions if part.is_star]
        for star in stars:
            is_plain = isinstance(star, exp.Star)
            if is_plain:
                name, source = next(iter(scope.sources.items()), ("", None))
            else:
                name = fold(star.text("table"))
                source = scope.sources.get(name)
            is_lone = len(stars) == 1 and (not is_plain or len(scope.sources) == 1)
            names = [column.name for column in source.columns] if source else []
            if scope.is_broken:
                continue
            if source is None or not is_lone or not source.is_whole or None in names:
                self._faults.add(SqlRefusal.SQL_ALL_COLUMNS, star, name="*")
                continue
            qualifier = None if name.startswith("\0") else exp.to_identifier(name, quoted=True)
            star_meta = {"start": start} if (start := _start(star)) is not None else {}
            columns = [
                exp.Column(this=exp.to_identifier(each, quoted=True), table=qualifier) for each in names
            ]
            for column in columns:
                column.meta.update(star_meta)
            index = node.expressions.index(star)
            node.set("expressions", [*node.expressions[:index], *columns, *node.expressions[index + 1 :]])

    def _expression(
        self, node: exp.Expr, scope: _Scope, are_aliases_seen: bool = False, is_filter: bool = False
    ) -> tuple[bool, int]:
        """Resolve all names within; whether anything personal is read, and the weight.

        A filter may ask whether a stored column is known: that tells nothing of what it holds.
        """
        personal_before, weight_before = self._is_personal, self._weight
        self._is_personal, self._weight = False, 1
        for part in node.walk(prune=lambda each: isinstance(each, exp.Query)):
            if isinstance(part, exp.Query):
                source = self.query(part, scope.ctes, scope)
                self._scans += source.scans
                self._note(source.columns)
            elif isinstance(part, exp.Column) and not isinstance(part.this, exp.Star):
                self._column(part, scope, are_aliases_seen, is_filter and _is_null_test(part))
        found = self._is_personal, self._capped((), node)
        self._is_personal, self._weight = personal_before or found[0], weight_before
        return found

    def _column(
        self, column: exp.Column, scope: _Scope, are_aliases_seen: bool, is_null_test: bool = False
    ) -> None:
        name, qualifier = fold(column.name), fold(column.table)
        at: _Scope | None = scope
        while at is not None:
            if at.is_broken:
                return
            if not qualifier or qualifier in at.sources:
                sources = [at.sources[qualifier]] if qualifier else list(at.sources.values())
                holders = [source for source in sources if any(name == each.name for each in source.columns)]
                is_alias = at is scope and not qualifier and name in scope.aliases
                if holders or (is_alias and are_aliases_seen):
                    if not is_alias and not self._is_one(name, holders, at):
                        self._faults.add(SqlRefusal.SQL_COLUMN_AMBIGUOUS, column, name=column.name)
                    if holders:
                        at.read.setdefault((qualifier, name), (column, holders))
                    for source in holders:
                        self._read(source, name, is_null_test)
                    if is_alias and are_aliases_seen:
                        self._note([scope.aliases[name]])
                    return
                if qualifier or is_alias:
                    break
            at = at.parent
        is_row = not qualifier and _is_source(name, scope)
        code = SqlRefusal.SQL_ALL_COLUMNS if is_row else SqlRefusal.SQL_COLUMN_NOT_GRANTED
        self._faults.add(code, column, name=column.name)

    def _is_one(self, name: str, holders: list[Source], scope: _Scope) -> bool:
        if sum(name == each.name for source in holders for each in source.columns) == 1:
            return True
        return name in scope.merged and all(
            sum(name == each.name for each in source.columns) == 1 for source in holders
        )

    def _read(self, source: Source, name: str, is_null_test: bool = False) -> None:
        if source.table is not None:
            self.uses[source.table].add(name)
            if is_null_test:
                self._weight += 1
                return
        self._note([column for column in source.columns if column.name == name])

    def _note(self, columns: Iterable[Output]) -> None:
        for column in columns:
            self._is_personal |= column.is_personal
            self._weight += column.weight

    def _capped(self, parts: Iterable[Output], node: exp.Expr) -> int:
        weight = max((part.weight for part in parts), default=self._weight)
        if weight > WEIGHT_MAX:
            self._faults.add(SqlRefusal.SQL_TOO_COMPLEX, node, name=f"{WEIGHT_MAX} references")
        return min(weight, WEIGHT_MAX + 1)


def _output_name(part: exp.Expr) -> str | None:
    return fold(part.alias_or_name) if isinstance(part, exp.Alias | exp.Column) else None


def _is_null_test(column: exp.Column) -> bool:
    test = column.parent
    return isinstance(test, exp.Is) and test.this is column and isinstance(test.expression, exp.Null)


def _is_source(name: str, scope: _Scope | None) -> bool:
    while scope is not None:
        if name in scope.sources:
            return True
        scope = scope.parent
    return False


def _start(node: exp.Expr) -> int | None:
    return next((part.meta["start"] for part in node.walk() if "start" in part.meta), None)
