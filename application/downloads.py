"""The use case of downloads: what leaves the platform as a file is written down first."""

from uuid import UUID

from application.shared.identifiers import uuid7
from application.shared.work import Work
from domain.downloads import DECIDER, RecordDownload


def record(work: Work, subject: str, filter: str, rows: int, address: str) -> UUID:
    """Write down that the principal gets these rows; refuse what the log may not hold.

    It is his unit's business that he takes them, whosever they are.
    """
    download_id = uuid7()
    work.org_unit = work.principal.org_unit
    principal = work.principal
    command = RecordDownload(subject, filter, rows, address, principal.org_unit, principal.user)
    work.begin(DECIDER, download_id, command)
    return download_id
