"""Run parameters: the values that a run binds to the names in its SQL, as text in the form of their type."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import assert_never

from domain.segment_contents import STANDARD_PARAMETERS, ParameterType, SegmentContent, used_parameters
from domain.shared.field_rules import FieldRefusal
from domain.shared.refusal import CommonRefusal, Fault
from domain.shared.text import text_faults

VALUE_CHARACTERS_MAX = 500
TIMEFRAME = frozenset({"data_from", "data_to"})
_INTEGER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class RunParameter:
    """A value that is bound to `:name`, as text in the canonical form of its type."""

    name: str
    type: ParameterType
    text: str


class ParameterRefusal(StrEnum):
    UNKNOWN_PARAMETER = "unknown_parameter"


def parameter_types(content: SegmentContent) -> Mapping[str, ParameterType]:
    """Every parameter that a run of this content may be given."""
    declared = {parameter.name: parameter.type for parameter in content.parameters}
    return {**dict.fromkeys(STANDARD_PARAMETERS, ParameterType.DATE), **declared}


def value_of(parameter: RunParameter) -> str | int | date:
    """The value that is bound."""
    match parameter.type:
        case ParameterType.TEXT:
            return parameter.text
        case ParameterType.INTEGER:
            return int(parameter.text)
        case ParameterType.DATE:
            return date.fromisoformat(parameter.text)
        case _:
            assert_never(parameter.type)


def parameter_faults(content: SegmentContent, given: Mapping[str, str]) -> Iterator[Fault]:
    """What is missing, unknown or of another type among the values that a run is to have."""
    types = parameter_types(content)
    for name in sorted(given.keys() - types.keys()):
        yield Fault(ParameterRefusal.UNKNOWN_PARAMETER, ("parameters",), {"name": name})
    declared = {parameter.name for parameter in content.parameters}
    for name in sorted((used_parameters(content.sql) & types.keys()) | declared):
        if name not in given:
            yield Fault(CommonRefusal.REQUIRED, ("parameters", name))
    bad = [name for name in sorted(given.keys() & types.keys()) if not _fits(types[name], given[name])]
    for name in bad:
        yield Fault(FieldRefusal.BAD_VALUE, ("parameters", name), {"type": types[name]})
    for name in sorted(given):
        yield from text_faults(given[name], VALUE_CHARACTERS_MAX, "parameters", name)
    is_timeframe = given.keys() >= TIMEFRAME and not TIMEFRAME & set(bad)
    if is_timeframe and given["data_to"] <= given["data_from"]:
        yield Fault(CommonRefusal.END_NOT_AFTER_START, ("parameters", "data_to"))


def _fits(type_: ParameterType, text: str) -> bool:
    match type_:
        case ParameterType.TEXT:
            return True
        case ParameterType.INTEGER:
            return bool(_INTEGER.fullmatch(text)) and text.isascii()
        case ParameterType.DATE:
            return _is_date(text)
        case _:
            assert_never(type_)


def _is_date(text: str) -> bool:
    """2026-07-01 and nothing that merely can be read as a date."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
