"""What a setting is made of: its words for people, and the lists and pairs that a variable holds."""

from typing import Any

from pydantic import Field
from pydantic.fields import FieldInfo


def setting(variable: str, default: object, expected: str, about: str, **limits: Any) -> Any:
    return Field(
        default, alias=variable, description=about, json_schema_extra={"expected": expected}, **limits
    )


def expected(field: FieldInfo) -> str:
    """What the setting takes, in words."""
    assert isinstance(field.json_schema_extra, dict)
    return str(field.json_schema_extra["expected"])


def require(holds: bool) -> None:
    """The fault's words are the setting's `expected`, so the error needs none."""
    if not holds:
        raise ValueError


def listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def pairs(text: str) -> dict[str, str]:
    """The pairs of "A:first,B:second"; a key that comes twice is a fault."""
    pairs = {}
    for key, _, value in (part.partition(":") for part in listed(text)):
        require(key not in pairs)
        pairs[key.strip()] = value.strip()
    return pairs
