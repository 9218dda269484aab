"""What the answers of one process are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.admission import Admission
from api.authentication import Authentication
from api.context import Context, viewer_of
from api.entity_tags import EntityTags
from api.http_errors import Malformed
from api.live_log import LiveLog, Progress
from api.messages import Language
from api.planner.positions import Position as ShownPosition
from api.planner.positions import decode, encode
from api.planner.reads import Reads
from application.access import Principal, Role
from application.accounts import Accounts
from application.shared.engines import Engine
from application.shared.handler import Handler
from application.shared.key_keepers import PersonKeeper
from application.shared.records import Log, Position
from application.shared.webhooks import WebhookDesk

MIN_POSITION_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class PageSizes:
    """The largest pages that a request may ask for."""

    ordinary: int = 100
    integrator: int = 500


@dataclass(frozen=True, slots=True)
class Services:
    """What answers need; made once a process."""

    authentication: Authentication
    handler: Handler
    log: Log
    reads: Reads
    progress: Progress
    projections: Sequence[str]
    page_sizes: PageSizes
    live_log: LiveLog
    admission: Admission
    tags: EntityTags
    engine: Engine | None = None
    accounts: Accounts | None = None
    webhooks: WebhookDesk | None = None
    persons: PersonKeeper | None = None

    def context(
        self, principal: Principal, language: Language, id_: str, key: str | None, address: str = ""
    ) -> Context:
        sizes = self.page_sizes
        page_size_max = sizes.integrator if Role.INTEGRATOR in principal.roles else sizes.ordinary
        return Context(
            principal=principal,
            viewer=viewer_of(principal, page_size_max),
            language=language,
            request_id=id_,
            idempotency_key=key,
            handler=self.handler,
            log=self.log,
            reads=self.reads,
            progress=self.progress,
            live_log=self.live_log,
            admission=self.admission,
            engine=self.engine,
            accounts=self.accounts,
            webhooks=self.webhooks,
            persons=self.persons,
            address=address,
        )

    def extensions(self, cost: Mapping[str, int]) -> Mapping[str, Any]:
        """What an answer says besides its data: its cost, and up to which position it shows everything, for
        it is taken before anything is read; `lagMs` is how late the read tables are.
        """
        position, lag_ms = self.progress.standing()
        return {"cost": cost, "projection": {"position": encode(ShownPosition(*position)), "lagMs": lag_ms}}

    async def is_projected(self, body: Mapping[str, Any]) -> bool:
        """Wait, bounded, for `extensions.minPosition`: the reader has written, or heard of, that position.

        Raise Malformed for what is no position.
        """
        wanted = (body.get("extensions") or {}).get("minPosition")
        if wanted is None:
            return True
        try:
            position = Position(*decode(wanted))
        except (ValueError, TypeError):
            raise Malformed(400, "BAD_REQUEST") from None
        return await self.progress.reached(position, self.projections, MIN_POSITION_WAIT_S)
