"""Segment contents: the SQL of a definition, what it gives out, and what makes both sound.

Whether the SQL itself may run is the gate's to say; its faults come in as data.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from domain.shared.refusal import CommonRefusal, Fault, refuse_any
from domain.shared.text import name_faults, text_faults

# --- Values ---------------------------------------------------------------

NAME_CHARACTERS_MAX = 120
DESCRIPTION_CHARACTERS_MAX = 4_000
SQL_CHARACTERS_MAX = 20_000
PRIMARY_INDEX_MAX = 8
OUTPUTS_MAX = 100
PARAMETERS_MAX = 20
MAPPING_MAX = 100
CONSTANT_CHARACTERS_MAX = 200
TRANSLATIONS_MAX = 200
"""Over the whole mapping, so that an event stays below its limit."""
TRANSLATION_CHARACTERS_MAX = 100
EXEMPTION_CHARACTERS_MAX = 500
WIDTH_MAX = 200
STANDARD_PARAMETERS = ("data_from", "data_to", "business_date")
"""Dates that every definition may use without declaring them; data_to is exclusive."""

_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_PARAMETER = re.compile(r"[a-z][a-z0-9_]{0,39}")
_USED_PARAMETER = re.compile(r"(?<![:\w]):([A-Za-z_][A-Za-z0-9_]*)")
_WORD = re.compile(r"\w+")


class ParameterType(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    DATE = "date"


class FieldFormat(StrEnum):
    """How a value is written. CENTS: minor units as they are; YUAN: the same with two decimals.
    DATE: 2026-07-01; DATE_COMPACT: 20260701.
    """

    TEXT = "text"
    INTEGER = "integer"
    CENTS = "cents"
    YUAN = "yuan"
    DATE = "date"
    DATE_COMPACT = "date_compact"


class Mask(StrEnum):
    """BY_CLASS masks personal columns and no others; CLEAR shows even those, by an approved exemption."""

    BY_CLASS = "by_class"
    CLEAR = "clear"
    LAST_FOUR = "last_four"
    CARD = "card"
    NAME = "name"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Output:
    """A column of the result. `is_personal` is None only in what was typed in: not classified."""

    name: str
    is_personal: bool | None


@dataclass(frozen=True, slots=True)
class DeclaredParameter:
    """A named parameter of the SQL besides the standard ones; bound at each run, never spliced."""

    name: str
    type: ParameterType


@dataclass(frozen=True, slots=True)
class MappedColumn:
    """One field of an exported file: an output column or a constant; fields come in the mapping's order.

    `width` is in characters, 0 leaves the length as it is. `translation` maps codes. `exemption` says why a
    personal column is shown in clear; it is approved with the rest.
    """

    target: str
    source: str | None = None
    constant: str | None = None
    format: FieldFormat = FieldFormat.TEXT
    width: int = 0
    is_zero_padded: bool = False
    mask: Mask = Mask.BY_CLASS
    translation: Mapping[str, str] = field(default_factory=dict)
    exemption: str = ""


@dataclass(frozen=True, slots=True)
class SegmentContent:
    """What approvers judge and runs perform. `source` is the code of a warehouse source."""

    name: str
    description: str
    sql: str
    source: str
    primary_index: tuple[str, ...]
    outputs: tuple[Output, ...]
    parameters: tuple[DeclaredParameter, ...] = ()
    mapping: tuple[MappedColumn, ...] = ()


class SegmentRefusal(StrEnum):
    BAD_COLUMN_NAME = "bad_column_name"
    BAD_PARAMETER_NAME = "bad_parameter_name"
    STANDARD_PARAMETER = "standard_parameter"
    PRIMARY_INDEX_NOT_OUTPUT = "primary_index_not_output"
    OUTPUT_UNCLASSIFIED = "output_unclassified"
    PERSONAL_UNMASKED = "personal_unmasked"
    SOURCE_OR_CONSTANT = "source_or_constant"
    NOT_AN_OUTPUT = "not_an_output"
    EXEMPTION_UNUSED = "exemption_unused"


# --- Rules ----------------------------------------------------------------


def sound_content(content: SegmentContent, faults: Sequence[Fault] = ()) -> SegmentContent:
    """The content as it was entered, or `Refused` with `faults` and everything that is wrong with it."""
    refuse_any([*faults, *content_faults(content)])
    return content


def content_faults(content: SegmentContent) -> Iterator[Fault]:
    """Everything that is wrong with a content but for what the gate finds in its SQL."""
    yield from name_faults(content.name, NAME_CHARACTERS_MAX, "name")
    yield from text_faults(content.description, DESCRIPTION_CHARACTERS_MAX, "description")
    yield from name_faults(content.sql, SQL_CHARACTERS_MAX, "sql")
    if not content.source:
        yield Fault(CommonRefusal.REQUIRED, ("source",))
    yield from _output_faults(content.outputs)
    yield from _primary_index_faults(content)
    yield from _parameter_faults(content.parameters)
    yield from _mapping_faults(content)


def used_parameters(sql: str) -> frozenset[str]:
    """The names behind colons; in a text or comment of the SQL they count too, which asks for more only."""
    return frozenset(_USED_PARAMETER.findall(sql))


def mentions(sql: str, name: str) -> bool:
    """Whether the name stands in the SQL as a word: no query reads a table that it does not mention."""
    return name.lower() in {word.lower() for word in _WORD.findall(sql)}


def _output_faults(outputs: Sequence[Output]) -> Iterator[Fault]:
    if not outputs:
        yield Fault(CommonRefusal.REQUIRED, ("outputs",))
    if len(outputs) > OUTPUTS_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("outputs",), {"most": str(OUTPUTS_MAX)})
        return
    seen: set[str] = set()
    for index, output in enumerate(outputs):
        yield from _column_faults(output.name, seen, "outputs", index, "name")
        if output.is_personal is None:
            yield Fault(SegmentRefusal.OUTPUT_UNCLASSIFIED, ("outputs", index, "is_personal"))


def _primary_index_faults(content: SegmentContent) -> Iterator[Fault]:
    columns = content.primary_index
    if not columns:
        yield Fault(CommonRefusal.REQUIRED, ("primary_index",))
    if len(columns) > PRIMARY_INDEX_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("primary_index",), {"most": str(PRIMARY_INDEX_MAX)})
        return
    outputs = {output.name for output in content.outputs}
    for index, column in enumerate(columns):
        if column in columns[:index]:
            yield Fault(CommonRefusal.DUPLICATE, ("primary_index", index))
        elif column not in outputs:
            yield Fault(SegmentRefusal.PRIMARY_INDEX_NOT_OUTPUT, ("primary_index", index), {"column": column})


def _parameter_faults(parameters: Sequence[DeclaredParameter]) -> Iterator[Fault]:
    if len(parameters) > PARAMETERS_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("parameters",), {"most": str(PARAMETERS_MAX)})
        return
    for index, parameter in enumerate(parameters):
        at = ("parameters", index, "name")
        if not _PARAMETER.fullmatch(parameter.name):
            yield Fault(SegmentRefusal.BAD_PARAMETER_NAME, at)
        elif parameter.name in STANDARD_PARAMETERS:
            yield Fault(SegmentRefusal.STANDARD_PARAMETER, at, {"name": parameter.name})
        elif parameter.name in {other.name for other in parameters[:index]}:
            yield Fault(CommonRefusal.DUPLICATE, at)


def _mapping_faults(content: SegmentContent) -> Iterator[Fault]:
    if len(content.mapping) > MAPPING_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("mapping",), {"most": str(MAPPING_MAX)})
        return
    if sum(len(mapped.translation) for mapped in content.mapping) > TRANSLATIONS_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("mapping",), {"most": str(TRANSLATIONS_MAX)})
        return
    outputs = {output.name: output for output in content.outputs}
    seen: set[str] = set()
    for index, mapped in enumerate(content.mapping):
        yield from _column_faults(mapped.target, seen, "mapping", index, "target")
        yield from (fault.within("mapping", index) for fault in _mapped_faults(mapped, outputs))


def _mapped_faults(mapped: MappedColumn, outputs: Mapping[str, Output]) -> Iterator[Fault]:
    if (mapped.source is None) == (mapped.constant is None):
        yield Fault(SegmentRefusal.SOURCE_OR_CONSTANT, ("source",))
    output = outputs.get(mapped.source) if mapped.source is not None else None
    if mapped.source is not None and output is None:
        yield Fault(SegmentRefusal.NOT_AN_OUTPUT, ("source",), {"column": mapped.source})
    yield from text_faults(mapped.constant or "", CONSTANT_CHARACTERS_MAX, "constant")
    if not 0 <= mapped.width <= WIDTH_MAX:
        yield Fault(CommonRefusal.OUT_OF_RANGE, ("width",), {"least": "0", "most": str(WIDTH_MAX)})
    yield from text_faults(mapped.exemption, EXEMPTION_CHARACTERS_MAX, "exemption")
    is_shown = output is not None and output.is_personal is not False and mapped.mask is Mask.CLEAR
    if is_shown and not mapped.exemption.strip():
        yield Fault(SegmentRefusal.PERSONAL_UNMASKED, ("mask",), {"column": mapped.source or ""})
    if mapped.exemption.strip() and not is_shown:
        yield Fault(SegmentRefusal.EXEMPTION_UNUSED, ("exemption",))
    for text in (*mapped.translation, *mapped.translation.values()):
        yield from text_faults(text, TRANSLATION_CHARACTERS_MAX, "translation")


def _column_faults(name: str, seen: set[str], *path: str | int) -> Iterator[Fault]:
    """Names of columns differ by more than case, for not every reader of a file tells case apart."""
    if not _COLUMN.fullmatch(name):
        yield Fault(SegmentRefusal.BAD_COLUMN_NAME, path)
    elif name.lower() in seen:
        yield Fault(CommonRefusal.DUPLICATE, path)
    seen.add(name.lower())
