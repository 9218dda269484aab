"""Downloads in GraphQL: who took which list out of the platform, when, and where to."""

from datetime import datetime

from api.pasts import EVENTS, recorded
from api.planner.views import Node, view


@view(
    "read.downloads",
    versions=EVENTS,
    past=recorded("read.downloads", "id"),
    prefix="dl",
    scope="org_unit",
    permission="records.read",
    order=("recorded_at",),
    description="A file that was taken out of the platform.",
)
class Download(Node):
    version: int
    org_unit: str
    subject: str
    filter: str
    rows: int
    address: str
    recorded_at: datetime
    recorded_by: str
