"""Why a field is null that has a value: beside each that asks for a permission stands one that tells."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from inspect import get_annotations
from typing import Any

import strawberry


@strawberry.enum(description="Why a field is null that may have a value.")
class MaskReason(StrEnum):
    NO_PERMISSION = "no_permission"
    OTHER_UNITS = "other_units"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the viewer does not see the field beside this one, which asks for this; null where he sees it."""

    asked: str

    def told(self, permissions: frozenset[str]) -> MaskReason | None:
        return None if self.asked in permissions else MaskReason.NO_PERMISSION


def tell_reasons(cls: type, field: Callable[[Reason], Any]) -> None:
    """Behind each field of the class that asks for a permission `<field>_masked`, which `field` makes."""
    told: dict[str, Any] = {}
    for name, annotation in get_annotations(cls).items():
        told[name] = annotation
        if permission := cls.__dict__[name].permission:
            told[f"{name}_masked"] = MaskReason | None
            setattr(cls, f"{name}_masked", field(Reason(permission)))
    cls.__annotations__ = told
