"""References between aggregates: what is referred to, in the revision that was seen."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Reference:
    """`revision` is the content's revision of the thing referred to, pinned when the reference was made."""

    id: UUID
    revision: int


@dataclass(frozen=True, slots=True)
class User:
    """Something that refers to an aggregate and so keeps it in use: "activity SPRING-26".

    `org_unit` is the unit whose it is, "*" for what belongs to the whole bank.
    """

    id: UUID
    kind: str
    label: str
    org_unit: str = "*"
