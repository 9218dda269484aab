"""A result set as a file for others: fields in the mapping's order, translated, formatted, masked, padded.

DuckDB makes the lines, this module judges the mapping, encodes and writes. A value that has no translation,
does not fit its width, or is no number where one is due, stops the export: nothing is cut or guessed.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import duckdb

from application.shared.engines import (
    Column,
    Encoding,
    Exported,
    FieldFormat,
    FileLayout,
    MappedField,
    Mask,
    RunFailed,
    RunFailure,
)
from infrastructure.duckdb_session import failure_of, name, text
from infrastructure.durable_files import flush, remove
from infrastructure.warehouse import quoted

FIELDS_MAX = 200
WIDTH_MAX = 1_000
TRANSLATIONS_MAX = 1_000
TEXT_CHARACTERS_MAX = 1_000
ANY_OTHER = "*"
"""As a key of a translation: what every other value becomes."""
_LINES_AT_ONCE = 10_000
_WHOLE = ("BIGINT", "INTEGER", "SMALLINT")


def export_file(
    file: Path, columns: Sequence[Column], mapping: Sequence[MappedField], into: Path, layout: FileLayout
) -> Exported:
    """Write `into` whole or not at all. Raise RunFailed: bad_mapping names the field and counts offenders."""
    _require_sound(mapping, layout)
    known = {column.name: column for column in columns}
    fields = [_Field(each, known, layout) for each in mapping]
    with duckdb.connect(":memory:", config={"threads": 2}) as connection:
        try:
            _require_fit(connection, file, fields)
            return _write(connection, file, fields, into, layout)
        except duckdb.Error as error:
            raise failure_of(error) from error


def _bad(target: str, detail: str, offenders: int = 0) -> RunFailed:
    return RunFailed(RunFailure.BAD_MAPPING, {"name": target, "detail": detail, "offenders": str(offenders)})


def _require_sound(mapping: Sequence[MappedField], layout: FileLayout) -> None:
    if not 0 < len(mapping) <= FIELDS_MAX:
        raise _bad("", f"a file has 1 to {FIELDS_MAX} fields")
    if len(layout.separator) > 1 or (layout.separator in ('"', "\n", "\r") and layout.separator):
        raise _bad("", "the separator is one character or none")
    targets = [field.target for field in mapping]
    for field in mapping:
        texts = (field.target, field.constant or "", *field.translation, *field.translation.values())
        if targets.count(field.target) > 1:
            raise _bad(field.target, "the name comes twice")
        if (
            any(len(each) > TEXT_CHARACTERS_MAX or not each.isprintable() for each in texts)
            or not field.target
        ):
            raise _bad(field.target, "texts are printable and bounded")
        if (field.source is None) == (field.constant is None):
            raise _bad(field.target, "a field has a source or a constant")
        if not 0 <= field.width <= WIDTH_MAX or (not field.width and not layout.separator):
            raise _bad(field.target, f"the width is from 1 to {WIDTH_MAX} where nothing separates fields")
        if len(field.translation) > TRANSLATIONS_MAX:
            raise _bad(field.target, f"at most {TRANSLATIONS_MAX} translations")


class _Field:
    """One field as SQL: `written` is its text, `offends` is true of the rows that it can't be written for."""

    def __init__(self, field: MappedField, columns: Mapping[str, Column], layout: FileLayout) -> None:
        self.target = field.target
        offences: list[str] = []
        if field.source is None:
            value = text(field.constant or "")
            is_personal = False
        else:
            column = columns.get(field.source)
            if column is None:
                raise _bad(field.target, f"there is no column {field.source}")
            value = _formatted(field, column, offences)
            is_personal = column.is_personal
        if field.translation:
            value = _translated(value, field.translation, offences)
        value = _masked(f"coalesce({value}, '')", field.mask, is_personal)
        if field.width:
            offences.append(f"length({value}) > {field.width}")
            value = _padded(value, field)
        if layout.separator:
            value = _quoted(value, layout.separator)
        else:
            offences.append(rf"regexp_matches({value}, '[\n\r]')")
        self.written = value
        self.offends = " or ".join(f"coalesce({each}, false)" for each in offences) or "false"


def _formatted(field: MappedField, column: Column, offences: list[str]) -> str:
    value = name(column.name)
    is_whole = column.type in _WHOLE
    match field.format:
        case FieldFormat.TEXT:
            return f"{value}::varchar"
        case FieldFormat.INTEGER if is_whole:
            return f"{value}::varchar"
        case FieldFormat.CENTS | FieldFormat.YUAN if is_whole or column.type.startswith("DECIMAL"):
            minor = value if is_whole else f"({value} * 100)"
            offences.append(f"{minor} <> trunc({minor})")
            minor = f"{minor}::bigint"
            if field.format is FieldFormat.CENTS:
                return f"{minor}::varchar"
            sign = f"case when {minor} < 0 then '-' else '' end"
            return f"({sign} || abs({minor}) // 100 || '.' || lpad((abs({minor}) % 100)::varchar, 2, '0'))"
        case FieldFormat.DATE if column.type in ("DATE", "TIMESTAMP"):
            return f"strftime({value}, '%Y-%m-%d')"
        case FieldFormat.DATE_COMPACT if column.type in ("DATE", "TIMESTAMP"):
            return f"strftime({value}, '%Y%m%d')"
    raise _bad(field.target, f"{column.type} can't be written as {field.format}")


def _translated(value: str, translation: Mapping[str, str], offences: list[str]) -> str:
    cases = " ".join(
        f"when {text(key)} then {text(to)}" for key, to in translation.items() if key != ANY_OTHER
    )
    if ANY_OTHER in translation:
        other = text(translation[ANY_OTHER])
        return f"case {value} {cases} else {other} end" if cases else other
    keys = ", ".join(text(key) for key in translation)
    offences.append(f"{value} not in ({keys})")
    return f"case {value} {cases} end"


def _masked(value: str, mask: Mask, is_personal: bool) -> str:
    """Stars for what is hidden; a value that is too short to hide a part of is hidden whole."""
    if mask is Mask.BY_CLASS:
        mask = Mask.LAST_FOUR if is_personal else Mask.CLEAR
    stars = f"repeat('*', length({value}))"
    match mask:
        case Mask.CLEAR:
            return value
        case Mask.ALL:
            return stars
        case Mask.LAST_FOUR:
            shown = f"repeat('*', length({value}) - 4) || right({value}, 4)"
            return f"case when length({value}) > 6 then {shown} else {stars} end"
        case Mask.CARD:
            shown = f"left({value}, 6) || repeat('*', length({value}) - 10) || right({value}, 4)"
            return f"case when length({value}) > 12 then {shown} else {stars} end"
        case _:
            assert mask is Mask.NAME
            shown = f"left({value}, 1) || repeat('*', length({value}) - 1)"
            return f"case when length({value}) > 1 then {shown} else {stars} end"


def _padded(value: str, field: MappedField) -> str:
    """Zeros come after a minus sign. Values that are too long were counted before."""
    if not field.is_zero_padded:
        return f"rpad({value}, {field.width}, ' ')"
    is_negative = f"left({value}, 1) = '-'"
    negative = f"'-' || lpad(substr({value}, 2), {field.width - 1}, '0')"
    return f"case when {is_negative} then {negative} else lpad({value}, {field.width}, '0') end"


def _quoted(value: str, separator: str) -> str:
    """Quotation marks round what holds a separator, a mark or a line's end (RFC 4180)."""
    is_plain = " and ".join(
        f"not contains({value}, {each})" for each in (text(separator), "'\"'", r"e'\n'", r"e'\r'")
    )
    return f"""case when {is_plain} then {value} else '"' || replace({value}, '"', '""') || '"' end"""


def _require_fit(connection: duckdb.DuckDBPyConnection, file: Path, fields: Sequence[_Field]) -> None:
    counts = ", ".join(f"count(*) filter (where {field.offends})" for field in fields)
    found = connection.execute(f"select {counts} from read_parquet('{quoted(file)}')").fetchone() or ()
    for field, offenders in zip(fields, found, strict=True):
        if offenders:
            raise _bad(field.target, "values do not fit", offenders)


def _write(
    connection: duckdb.DuckDBPyConnection,
    file: Path,
    fields: Sequence[_Field],
    into: Path,
    layout: FileLayout,
) -> Exported:
    line = f" || {text(layout.separator)} || ".join(field.written for field in fields)
    cursor = connection.execute(f"select {line} from read_parquet('{quoted(file)}')")
    beside = into.with_name(f".{into.name}.{os.getpid()}")
    digest, size, rows = hashlib.sha256(), 0, 0
    try:
        with beside.open("wb") as out:
            for part, count in _parts(cursor, fields, layout):
                out.write(part)
                digest.update(part)
                size += len(part)
                rows += count
        flush(beside)
        os.replace(beside, into)
        flush(into.parent)
    finally:
        remove(beside)
    return Exported(into, rows, size, digest.hexdigest())


def _parts(
    cursor: duckdb.DuckDBPyConnection, fields: Sequence[_Field], layout: FileLayout
) -> Iterator[tuple[bytes, int]]:
    """The file in pieces of whole lines, each with its number of rows."""
    codec = "utf-8" if layout.encoding is Encoding.UTF_8 else "gb18030"
    if layout.has_header:
        yield (layout.separator.join(field.target for field in fields) + "\n").encode(codec), 0
    while lines := cursor.fetchmany(_LINES_AT_ONCE):
        yield "".join(f"{line}\n" for (line,) in lines).encode(codec), len(lines)
