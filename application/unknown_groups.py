"""Customer groups where the installation keeps none: whichever is chosen is not found."""

from uuid import UUID

from application.shared.work import Work
from domain.activity_plans import Choice


def choice(work: Work, group_id: UUID, revision_seen: int | None = None) -> Choice:  # noqa: ARG001
    """The group as somebody chooses it: nobody has defined one, so there is none to refer to."""
    return Choice(None)
