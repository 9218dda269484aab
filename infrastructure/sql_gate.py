"""The gate: analysts' SQL is parsed, judged by an allow-list, and written anew from what was judged.

One SELECT over granted tables and columns, with declared parameters, whose outputs are those declared. What
runs is the text that the gate writes, never the one that came in; the engine's own limits come on top of it.
"""

import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from application.shared.engines import STANDARD_PARAMETERS, Parameter, Query, SqlRefusal
from domain.shared.refusal import CommonRefusal, Fault, Refused
from domain.shared.text import holds_card_number
from domain.warehouse_schema import TABLES
from infrastructure import sql_allowed
from infrastructure.sql_allowed import fold
from infrastructure.sql_faults import SqlFaults
from infrastructure.sql_names import Names, Source
from infrastructure.sql_order import is_exact

BYTES_MAX = 100_000
TOKENS_MAX = 30_000
"""Counted before anything is parsed, which takes some 10 µs a token."""
NODES_MAX = 20_000
NESTING_MAX = 50
DEPTH_MAX = 500
CHAIN_MAX = 900
"""Operands in a row, such as a + b + c: DuckDB takes 1,000."""
PARAMETER_CHARACTERS_MAX = 1_000
OUTPUT_CHARACTERS_MAX = 63
PARAMETER_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
SOURCE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_FRAMES_MAX = 10_000
_STACK_BYTES = 256 * 2**20
_deep = threading.Lock()

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # its warnings would put queries into the log

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class CheckedQuery:
    """What may run. `sql` has `$name` for each of `parameters`; `columns` are the outputs as declared, in the
    SQL's order; `uses` names the columns read of each table. What is not `is_exact` gives the same answer
    again only when one thread makes it.
    """

    sql: str
    parameters: tuple[str, ...]
    columns: tuple[str, ...]
    uses: Mapping[str, tuple[str, ...]]
    is_exact: bool


def examine(query: Query) -> CheckedQuery:
    """Raise Refused with everything that is wrong with the query."""
    faults = tuple(_declaration_faults(query))
    if len(query.sql.encode(errors="surrogatepass")) > BYTES_MAX:
        faults += (_fault(SqlRefusal.SQL_TOO_LONG, most=str(BYTES_MAX)),)
    if faults:
        raise Refused(*faults)
    return _with_deep_stack(lambda: _examine(query))


def _examine(query: Query) -> CheckedQuery:
    found = SqlFaults(query.sql)
    tree = _parsed(query.sql, found)
    if tree is not None:
        _require_modest(tree, found)
    if tree is None or found:
        raise Refused(*found.all)
    parameters = _require_allowed(tree, query, found)
    if found:
        raise Refused(*found.all)
    names = Names(_granted(query), found)
    given = names.query(tree)
    columns = () if found else _require_outputs(tree, given, query, found)
    if found:
        raise Refused(*found.all)
    sql = tree.sql(dialect="duckdb", identify=True, comments=False, unsupported_level=ErrorLevel.RAISE)
    uses = {table: tuple(sorted(read)) for table, read in sorted(names.uses.items())}
    return CheckedQuery(sql, parameters, columns, uses, is_exact(tree))


def _declaration_faults(query: Query) -> Iterator[Fault]:
    if not SOURCE.fullmatch(query.source):
        yield _fault(SqlRefusal.SQL_SOURCE_UNKNOWN, name=query.source)
    names = [parameter.name for parameter in query.parameters]
    for parameter in query.parameters:
        if names.count(parameter.name) > 1 or not _is_sound(parameter):
            yield _fault(SqlRefusal.SQL_PARAMETER_BAD, name=parameter.name[:PARAMETER_CHARACTERS_MAX])
    outputs = [fold(output.name) for output in query.outputs]
    for output in query.outputs:
        if outputs.count(fold(output.name)) > 1:
            yield _fault(SqlRefusal.SQL_OUTPUT_DUPLICATE, name=output.name)
        if not output.name.isprintable() or not 0 < len(output.name) <= OUTPUT_CHARACTERS_MAX:
            yield _fault(SqlRefusal.SQL_OUTPUT_UNNAMED, name=output.name[:OUTPUT_CHARACTERS_MAX])
    for name in query.primary_index or ("",):
        if fold(name) not in outputs:
            yield _fault(SqlRefusal.SQL_PRIMARY_INDEX_MISSING, name=name)
    if holds_card_number(query.sql):
        yield Fault(CommonRefusal.CARD_NUMBER_IN_TEXT, ("sql",))


def _fault(code: SqlRefusal, **values: str) -> Fault:
    place = {"line": "1", "column": "1", "snippet": "", "reason": code.value, "name": ""}
    return Fault(code, ("sql",), place | values)


def _is_sound(parameter: Parameter) -> bool:
    value = parameter.value
    if not PARAMETER_NAME.fullmatch(parameter.name):
        return False
    if isinstance(value, str):
        return len(value) <= PARAMETER_CHARACTERS_MAX and "\0" not in value and value.isprintable()
    if isinstance(value, int):
        return not isinstance(value, bool) and -(2**63) <= value < 2**63
    return isinstance(value, date) and not isinstance(value, datetime)


def _parsed(text: str, found: SqlFaults) -> exp.Expr | None:
    try:
        text.encode()
        if "\0" in text:
            raise ParseError("NUL")
        tokens = sqlglot.tokenize(text, read="duckdb")
        marked = _with_marks(text, tokens, found)
        if found:
            return None
        statements = sqlglot.parse(marked, read="duckdb")
    except RecursionError:
        found.add(SqlRefusal.SQL_TOO_COMPLEX, name="nesting")
        return None
    except ParseError as error:
        found.add(SqlRefusal.SQL_SYNTAX, _offset(text, error))
        return None
    except (
        SqlglotError,
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
    ):  # the parser's own slips included
        found.add(SqlRefusal.SQL_SYNTAX)
        return None
    if len(statements) != 1 or not isinstance(statements[0], exp.Select | exp.SetOperation):
        at = _end_of_first(tokens) if len(statements) > 1 else 0
        found.add(SqlRefusal.SQL_NOT_ONE_SELECT, at)
        return None
    return statements[0]


def _with_marks(text: str, tokens: Sequence[Token], found: SqlFaults) -> str:
    """The text with each `:name` as `$name`, which the parser takes everywhere; lengths stay the same.

    Brackets and braces make lists and structs, and `$` other strings and parameters: none of them is allowed,
    which also keeps the new marks unmistakable. Nesting is bounded before the parser recurses into it.
    """
    characters = list(text)
    depth = 0
    if len(tokens) > TOKENS_MAX:
        found.add(SqlRefusal.SQL_TOO_COMPLEX, tokens[TOKENS_MAX].start, name=f"{TOKENS_MAX} words")
        return text
    for index, token in enumerate(tokens):
        if token.token_type in (TokenType.L_PAREN, TokenType.CASE):
            depth += 1
        elif token.token_type in (TokenType.R_PAREN, TokenType.END):
            depth -= 1
        if depth > NESTING_MAX:
            found.add(SqlRefusal.SQL_TOO_COMPLEX, token.start, name=f"nesting {NESTING_MAX}")
            break
        if token.token_type in _FORBIDDEN_TOKENS or _holds_dollar(text, token):
            found.add(SqlRefusal.SQL_CONSTRUCT_FORBIDDEN, token.start, name=token.text)
        elif token.token_type is TokenType.COLON:
            name = tokens[index + 1] if index + 1 < len(tokens) else None
            is_alone = name is not None and text[name.end + 1 : name.end + 2] not in (":", "$")
            is_cast = name is not None and text[name.end + 1 : name.end + 3] == "::"
            if name is None or name.start != token.end + 1 or not (is_alone or is_cast):
                found.add(SqlRefusal.SQL_CONSTRUCT_FORBIDDEN, token.start, name=":")
            elif not PARAMETER_NAME.fullmatch(name.text):
                found.add(SqlRefusal.SQL_PARAMETER_UNKNOWN, token.start, name=name.text)
            else:
                characters[token.start] = "$"
    return "".join(characters)


_FORBIDDEN_TOKENS = frozenset(
    {TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.PARAMETER, TokenType.PLACEHOLDER,
     TokenType.HEREDOC_STRING, TokenType.RAW_STRING, TokenType.HINT}
)  # fmt: skip


def _holds_dollar(text: str, token: Token) -> bool:
    is_quoted = token.token_type in (TokenType.STRING, TokenType.IDENTIFIER)
    return not is_quoted and "$" in text[token.start : token.end + 1]


def _end_of_first(tokens: Sequence[Token]) -> int:
    return next((token.start for token in tokens if token.token_type is TokenType.SEMICOLON), 0)


def _offset(text: str, error: ParseError) -> int:
    """The place of a syntax error; the parser counts the column at the token's end."""
    if not error.errors or not error.errors[0].get("line"):
        return 0
    first = error.errors[0]
    lines = text.split("\n")
    line = min(int(first["line"]), len(lines))
    start = sum(len(each) + 1 for each in lines[: line - 1])
    token = len(str(first.get("highlight") or ""))
    return min(start + max(int(first["col"]) - token, 0), len(text))


def _require_modest(tree: exp.Expr, found: SqlFaults) -> None:
    """Bounded in nodes, in depth, and in operands in a row."""
    nodes = 0
    stack: list[tuple[exp.Expr, int, int]] = [(tree, 1, 1)]
    while stack:
        node, depth, chain = stack.pop()
        nodes += 1
        for is_over, limit in (
            (nodes > NODES_MAX, f"{NODES_MAX} parts"),
            (depth > DEPTH_MAX, f"nesting {DEPTH_MAX}"),
            (chain > CHAIN_MAX, f"{CHAIN_MAX} operands"),
        ):
            if is_over:
                found.add(SqlRefusal.SQL_TOO_COMPLEX, node, name=limit)
                return
        for child in node.iter_expressions():
            continues = child is node.this and _is_chain(node) and _is_chain(child)
            stack.append((child, depth if continues else depth + 1, chain + 1 if continues else 1))


def _is_chain(node: object) -> bool:
    return isinstance(node, exp.Binary | exp.SetOperation)


def _require_allowed(tree: exp.Expr, query: Query, found: SqlFaults) -> tuple[str, ...]:
    """Every node of an allowed kind with allowed arguments; answers the parameters that are used."""
    declared = {parameter.name for parameter in query.parameters} | set(STANDARD_PARAMETERS)
    used: dict[str, None] = {}
    for node in tree.walk():
        if not _is_known(node):
            found.add(_reason(node), node, name=_called(node))
        elif fault := _misuse(node):
            found.add(fault, node, name=_called(node))
        elif isinstance(node, exp.Placeholder):
            if not isinstance(node.this, str) or node.this not in declared:
                found.add(SqlRefusal.SQL_PARAMETER_UNKNOWN, node, name=str(node.this))
            used[str(node.this)] = None
    return tuple(used)


def _is_known(node: exp.Expr) -> bool:
    kind = type(node)
    if kind is exp.Anonymous:
        return isinstance(node.this, str) and fold(node.this) in sql_allowed.NAMED_FUNCTIONS
    if kind in sql_allowed.FUNCTIONS:
        allowed = frozenset(kind.arg_types)
    elif kind in sql_allowed.ARGUMENTS:
        allowed = sql_allowed.ARGUMENTS[kind]
    else:
        return False
    return all(
        name in allowed and _is_fit(kind, name, value)
        for name, value in node.args.items()
        if value is not None and value is not False and value != []
    )


def _is_fit(kind: type[exp.Expr], name: str, value: object) -> bool:
    """Nodes are judged by themselves; words must be known ones, for the generator writes them as they are."""
    if isinstance(value, list):
        return all(isinstance(each, exp.Expr) for each in value)
    if isinstance(value, str):
        words = sql_allowed.KEYWORDS.get((kind, name))
        return value.upper() in words if words else (kind, name) in sql_allowed.TEXTS
    if isinstance(value, exp.DType):
        return value in sql_allowed.TYPES
    return isinstance(value, exp.Expr | bool)


def _misuse(node: exp.Expr) -> SqlRefusal | None:
    """What is allowed only in some places, or only together with something else."""
    forbidden = SqlRefusal.SQL_CONSTRUCT_FORBIDDEN
    match node:
        case exp.Star():
            parent = node.parent.parent if isinstance(node.parent, exp.Column) else node.parent
            is_output = isinstance(parent, exp.Select) and node.find_ancestor(exp.Query) is parent
            return None if is_output or isinstance(node.parent, exp.Count) else SqlRefusal.SQL_ALL_COLUMNS
        case exp.Table():
            is_plain = isinstance(node.this, exp.Identifier) and isinstance(node.parent, exp.From | exp.Join)
            return None if is_plain else forbidden
        case exp.Subquery():
            return None if isinstance(node.this, exp.Select | exp.SetOperation | exp.Subquery) else forbidden
        case exp.Var():
            parts = (exp.Interval, exp.Extract, exp.TimestampTrunc, exp.DateDiff, exp.DateAdd, exp.LastDay)
            return None if isinstance(node.parent, parts) else forbidden
        case exp.Distinct():
            is_plain = not node.expressions or isinstance(node.parent, exp.AggFunc)
            return None if is_plain else forbidden
        case exp.Limit() | exp.Offset():
            if not isinstance(node.expression, exp.Literal | exp.Placeholder):
                return forbidden
            has_order = node.parent is not None and node.parent.args.get("order") is not None
            return None if has_order else SqlRefusal.SQL_NOT_DETERMINISTIC
        case exp.Replace():
            # Text must not grow: two such calls within each other could fill the memory, beyond the engine's
            # own limit, and constant ones do so while the query is only checked.
            found, new = node.args.get("expression"), node.args.get("replacement")
            if not (isinstance(found, exp.Literal) and isinstance(new, exp.Literal)):
                return forbidden
            return None if len(new.this) <= len(found.this) else forbidden
        case exp.Exists():
            return None if isinstance(node.this, exp.Query) else forbidden
    return None


def _reason(node: exp.Expr) -> SqlRefusal:
    if isinstance(node, exp.Anonymous):
        is_moody = fold(str(node.this)) in sql_allowed.NOT_DETERMINISTIC_NAMES
        return SqlRefusal.SQL_NOT_DETERMINISTIC if is_moody else SqlRefusal.SQL_FUNCTION_FORBIDDEN
    if type(node) in sql_allowed.NOT_DETERMINISTIC:
        return SqlRefusal.SQL_NOT_DETERMINISTIC
    if isinstance(node, exp.Star):
        return SqlRefusal.SQL_ALL_COLUMNS
    if isinstance(node, exp.Table):
        return SqlRefusal.SQL_TABLE_NOT_GRANTED
    if isinstance(node, exp.Func) and type(node) not in sql_allowed.ARGUMENTS:
        return SqlRefusal.SQL_FUNCTION_FORBIDDEN
    return SqlRefusal.SQL_CONSTRUCT_FORBIDDEN


def _called(node: exp.Expr) -> str:
    return str(node.this) if isinstance(node, exp.Anonymous | exp.Var) else node.key.upper()


def _granted(query: Query) -> dict[str, frozenset[str]]:
    """What is granted and exists: a grant of something else grants nothing."""
    granted: dict[str, frozenset[str]] = {}
    for grant in query.granted:
        if table := TABLES.get(grant.name):
            columns = granted.get(grant.name, frozenset()) | set(grant.columns)
            granted[grant.name] = columns & set(table.column_names)
    return granted


def _require_outputs(tree: exp.Expr, given: Source, query: Query, found: SqlFaults) -> tuple[str, ...]:
    """The SQL's outputs are the declared ones; what is made of personal columns is declared so."""
    declared = {fold(output.name): output for output in query.outputs}
    seen: dict[str, str] = {}
    parts = tree.selects if isinstance(tree, exp.Query) else []
    for part, column in zip(parts, given.columns, strict=False):
        if not column.name or len(column.name) > OUTPUT_CHARACTERS_MAX or not column.name.isprintable():
            found.add(SqlRefusal.SQL_OUTPUT_UNNAMED, part)
        elif column.name in seen:
            found.add(SqlRefusal.SQL_OUTPUT_DUPLICATE, part, name=column.name)
        elif (output := declared.get(column.name)) is None:
            found.add(SqlRefusal.SQL_OUTPUT_UNDECLARED, part, name=column.name)
        elif column.is_personal and not output.is_personal:
            found.add(SqlRefusal.SQL_OUTPUT_PERSONAL, part, name=column.name)
        else:
            seen[column.name] = output.name
    if not found:
        for name, output in declared.items():
            if name not in seen:
                found.add(SqlRefusal.SQL_OUTPUT_MISSING, name=output.name)
    return tuple(seen.values())


def _with_deep_stack(work: Callable[[], Made]) -> Made:
    """Do the work in a thread of its own with room for the parser's recursion, some 30 frames a level."""
    done: list[Made] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except RecursionError:
            failed.append(Refused(_fault(SqlRefusal.SQL_TOO_COMPLEX, name="nesting")))
        except BaseException as error:
            failed.append(error)

    with _deep:
        frames, size = sys.getrecursionlimit(), threading.stack_size(_STACK_BYTES)
        sys.setrecursionlimit(max(frames, _FRAMES_MAX))
        try:
            thread = threading.Thread(target=run, name="sql-gate")
            thread.start()
            thread.join()
        finally:
            threading.stack_size(size)
            sys.setrecursionlimit(frames)
    if failed:
        raise failed[0]
    return done[0]
