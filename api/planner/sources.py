"""Where the SQL of a value comes from, and how values become the text of a JSON object."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

MEMBERS_AT_ONCE = 40  # a PostgreSQL function takes at most 100 arguments
MINOR_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
"""ISO 4217: the currencies whose minor unit is not a hundredth."""


class Source(Protocol):
    """Where the members of an object come from. `certain`: null only where a declaration says so."""

    @property
    def certain(self) -> bool: ...
    def column(self, name: str, sql_type: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Table:
    """A row; the types of its columns are checked at the start."""

    alias: str
    certain = True

    def column(self, name: str, sql_type: str) -> str:  # noqa: ARG002
        return f"{self.alias}.{name}"


@dataclass(frozen=True, slots=True)
class Json:
    """A jsonb object in a row (or in another object). What it holds is not known, so anything may be null."""

    value: str
    outer: Source
    certain = False

    def column(self, name: str, sql_type: str) -> str:
        if name.startswith("row."):
            return self.outer.column(name.removeprefix("row."), sql_type)
        if sql_type == "jsonb":
            return f"({self.value}->'{name}')"
        if sql_type.endswith("[]"):
            return f"array(select jsonb_array_elements_text({self.value}->'{name}'))::{sql_type}"
        return f"({self.value}->>'{name}')::{sql_type}"


@dataclass(frozen=True, slots=True)
class Renamed:
    """Columns of a row under the names of a struct's members."""

    inner: Source
    names: Mapping[str, str]
    certain: bool

    def column(self, name: str, sql_type: str) -> str:
        return self.inner.column(self.names[name], sql_type)


def amount(minor: str, currency: str) -> str:
    """The SQL of a JSON string: `minor` units as a decimal with the digits of the currency."""
    cases = []
    for digits, codes in MINOR_DIGITS.items():
        listed = ", ".join(f"'{code}'" for code in codes.split())
        cases.append(f"when {currency} in ({listed}) then {_decimal(minor, digits)}")
    return f"""'"' || case {" ".join(cases)} else {_decimal(minor, 2)} end || '"'"""


def _decimal(minor: str, digits: int) -> str:
    return f"({minor} / {10**digits}::numeric)::numeric(38, {digits})::text" if digits else f"{minor}::text"


def json_text(name: str) -> str:
    return f"""'"{name}"'"""


def json_object(members: Mapping[str, str]) -> str:
    """A SQL text expression; names are GraphQL names, so they need no escape."""
    items = [f"""'{"," if i else "{"}"{key}":', {value}""" for i, (key, value) in enumerate(members.items())]
    chunks = [", ".join(items[i : i + MEMBERS_AT_ONCE]) for i in range(0, len(items), MEMBERS_AT_ONCE)] or [
        "'{'"
    ]
    nested = ", ".join(f"concat({chunk})" for chunk in chunks) if len(chunks) > 1 else chunks[0]
    return f"concat({nested}, '}}')"
