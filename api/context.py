"""What a resolver may touch: who asks, the handler for commands, and the read side."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import strawberry

from api.live_log import LiveLog, Progress, Stream
from api.messages import Language
from api.planner.reads import Reads
from api.planner.requests import Viewer
from application.access import CUSTOMER, Principal, visible
from application.accounts import Accounts
from application.shared.engines import Engine
from application.shared.handler import Handler
from application.shared.key_keepers import PersonKeeper
from application.shared.records import BANK_WIDE, Log, Record
from application.shared.webhooks import WebhookDesk

if TYPE_CHECKING:
    from api.admission import Admission


@dataclass(slots=True)
class Context:
    """One request. `address` is the network's, for the record of who took what out.

    `stream` is the log as a subscription reads it; other operations have none.
    """

    principal: Principal
    viewer: Viewer
    language: Language
    request_id: str
    idempotency_key: str | None
    handler: Handler
    log: Log
    reads: Reads
    progress: Progress
    live_log: LiveLog
    admission: "Admission"
    engine: Engine | None = None
    accounts: Accounts | None = None
    webhooks: WebhookDesk | None = None
    persons: PersonKeeper | None = None
    address: str = ""
    stream: Stream | None = None

    def sees(self, record: Record[Any]) -> bool:
        """Whether the record is the business of a unit that the viewer sees, or of the whole bank."""
        unit = record.context.org_unit
        return unit == BANK_WIDE or unit in visible(record.stream_type, self.principal)


Info = strawberry.Info[Context, Any]


@lru_cache(maxsize=1_024)
def viewer_of(principal: Principal, page_limit: int) -> Viewer:
    return Viewer(
        user=principal.user,
        units=principal.units,
        data_units=visible(CUSTOMER, principal),
        levels=frozenset(level.value for level in principal.levels),
        permissions=frozenset(permission.value for permission in principal.permissions),
        page_limit=page_limit,
    )
