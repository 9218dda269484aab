"""What the answers of one process are made from."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.admission import Admission
from api.authentication import Authentication
from api.context import Context, Progress, viewer_of
from api.entity_tags import EntityTags
from api.messages import Language
from api.planner.reads import Reads
from api.tail import Tail
from application.access import Principal, Role
from application.accounts import Accounts
from application.shared.engines import Engine
from application.shared.handler import Handler
from application.shared.records import Log
from application.shared.webhooks import WebhookDesk


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
    tail: Tail
    admission: Admission
    tags: EntityTags
    engine: Engine | None = None
    accounts: Accounts | None = None
    webhooks: WebhookDesk | None = None

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
            tail=self.tail,
            admission=self.admission,
            engine=self.engine,
            accounts=self.accounts,
            webhooks=self.webhooks,
            still_holds=self.authentication.still_holds,
            address=address,
        )
