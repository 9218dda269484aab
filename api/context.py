"""What a resolver may touch: who asks, the handler for commands, and the read side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import strawberry

from api.messages import Language
from api.planner.reads import Reads
from api.planner.requests import Viewer
from api.tail import Tail
from application.access import CUSTOMER, Principal, visible
from application.accounts import Accounts
from application.shared.engines import Engine
from application.shared.handler import Handler
from application.shared.records import Log, Position
from application.shared.webhooks import WebhookDesk

if TYPE_CHECKING:
    from api.admission import Admission


class Progress(Protocol):
    """How far the projections are."""

    async def reached(self, position: Position, names: Sequence[str], timeout_s: float) -> bool:
        """Whether all of these projections got to the position within the time."""
        ...


@dataclass(slots=True)
class Context:
    """One request, or one WebSocket: there the principal is known only once the client has said who it is.

    `address` is the network's, for the record of who took what out. `is_admitted`: its one operation has
    passed the gate and is paid for.
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
    tail: Tail
    admission: "Admission"
    is_admitted: bool = False
    connection_params: Mapping[str, object] | None = None
    engine: Engine | None = None
    accounts: Accounts | None = None
    webhooks: WebhookDesk | None = None
    still_holds: Callable[[Principal], bool] = lambda _: True
    address: str = ""


Info = strawberry.Info[Context, Any]


def viewer_of(principal: Principal, page_limit: int) -> Viewer:
    return Viewer(
        user=principal.user,
        units=principal.units,
        data_units=visible(CUSTOMER, principal),
        account_units=visible("user", principal),
        levels=frozenset(level.value for level in principal.levels),
        permissions=frozenset(permission.value for permission in principal.permissions),
        page_limit=page_limit,
    )
