"""GraphQL and REST with all that they stand on: pools, log, handler, reads, progress; opened with the
application.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from anyio import to_thread
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from api.admission import Admission
from api.authentication import Authentication, Verify
from api.entity_tags import EntityTags
from api.exports import ACTIVITIES_PATH, Exports
from api.graphql_app import GraphQLApp
from api.http_errors import REST_PREFIX, error_response
from api.live_log import LiveLog
from api.login import KEYS_PATH, LOGIN_PATHS, LoginApp
from api.partner_messages import PARTNERS_PATH, PartnerMessages
from api.pasts import TIMELINE
from api.persisted_documents import PersistedDocuments
from api.planner.checks import check_views
from api.planner.reads import Reads, configure
from api.points_files import JOBS_PATH, PointsFiles
from api.rates import RateRules, Rates
from api.replay_files import REPLAYS_PATH, ReplayFiles
from api.rest.app import RestApp
from api.rest.contract import OPERATIONS
from api.result_files import RESULTS_PATH, ResultFiles
from api.schema import schema
from api.services import PageSizes, Services
from api.work_order_forms import FORMS_PATH, WorkOrderForms
from application.access import Role
from application.points_copies import Shelf
from application.shared.approvable import ApprovalPolicy
from application.shared.business_time import DEFAULT_ZONE
from application.shared.engines import Engine
from application.shared.gateways import PointsGateway
from application.shared.handler import Handler
from infrastructure import personal_parts, webhooks
from infrastructure.access_state import AccessState
from infrastructure.access_store import AccessStore
from infrastructure.append_notices import AppendNotices
from infrastructure.database import CONNECTED, connection_options, pool
from infrastructure.event_log import EventLog
from infrastructure.login_desk import LoginDesk
from infrastructure.own_tokens import OwnTokens
from infrastructure.partner_keys import PartnerKeys, PartnerNonces
from infrastructure.projection_progress import Progress
from infrastructure.projection_registry import PROJECTION_OF
from infrastructure.settings import Settings
from infrastructure.signing_keys import SigningKeys
from infrastructure.token_gate import TokenGate
from infrastructure.webhook_secrets import WebhookSecrets
from infrastructure.workbooks import Workbook
from projections.registry import NAMES

COMMAND_CONNECTIONS_MAX = 16
READ_CONNECTIONS_MAX = 8


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """How this deployment lets people in besides by its issuer's tokens; `keys` is the folder of its own."""

    units: frozenset[str]
    keys: Path
    audience: str
    has_login: bool = True
    counting: Callable[[Verify], Verify] = lambda verify: verify

    @classmethod
    def of(cls, settings: Settings, counting: Callable[[Verify], Verify]) -> "AccessSettings":
        folder, audience = settings.signing_keys_folder, settings.token_audience
        return cls(settings.units, folder, audience, settings.has_login, counting)


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """The file of the key of webhooks' secrets; whether endpoints may have private addresses."""

    key_file: Path
    may_be_near: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "WebhookSettings":
        return cls(webhooks.key_file(settings), webhooks.may_be_near(settings))


@dataclass(frozen=True, slots=True)
class Partners:
    """Whose messages are taken, and where they go."""

    keys: PartnerKeys
    nonces: PartnerNonces
    gateway: PointsGateway

    def key(self, key_id: str) -> RSAPublicKey | None:
        return self.keys.find(key_id)

    def take(self, key_id: str, nonce: str) -> bool:
        return self.nonces.take(key_id, nonce)

    def receive(self, name: str, acknowledgement: bytes) -> None:
        self.gateway.receive(name, acknowledgement)


@dataclass(slots=True)
class GraphQL:
    """An ASGI application that begins with its lifespan and ends with it."""

    url: str
    verify: Verify
    policy: ApprovalPolicy
    count_append: Callable[[], None]
    page_sizes: PageSizes = field(default_factory=PageSizes)
    connections_max: int = COMMAND_CONNECTIONS_MAX
    graphiql: bool = False
    time_zone: ZoneInfo = DEFAULT_ZONE
    engine: Engine | None = None
    shelf: Shelf | None = None
    access: AccessSettings | None = None
    webhooks: WebhookSettings | None = None
    _login: LoginApp | None = None
    rates: RateRules = field(default_factory=RateRules)
    registered_only: frozenset[Role] = frozenset()
    _app: GraphQLApp | None = None
    _exports: Exports | None = None
    _results: ResultFiles | None = None
    _forms: WorkOrderForms | None = None
    _replays: ReplayFiles | None = None
    _points: PointsFiles | None = None
    partner_keys: PartnerKeys | None = None
    _partners: "Partners | None" = None
    _rest: RestApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._app is not None, "the lifespan comes first"
        assert self._exports is not None
        assert self._results is not None
        assert self._forms is not None
        assert self._replays is not None
        assert self._points is not None
        assert self._rest is not None
        path = scope["path"] if scope["type"] == "http" else ""
        if path == ACTIVITIES_PATH:
            await self._exports(scope, receive, send)
        elif path.startswith(REST_PREFIX):
            await self._rest(scope, receive, send)
        elif path in LOGIN_PATHS or path == KEYS_PATH:
            if self._login is None:
                await error_response(scope, 404, "NOT_FOUND")(scope, receive, send)
            else:
                await self._login(scope, receive, send)
        elif path.startswith(f"{RESULTS_PATH}/"):
            await self._results(scope, receive, send)
        elif path.startswith(f"{REPLAYS_PATH}/"):
            await self._replays(scope, receive, send)
        elif path.startswith(f"{FORMS_PATH}/"):
            await self._forms(scope, receive, send)
        elif path.startswith(f"{PARTNERS_PATH}/"):
            await PartnerMessages(self._partners)(scope, receive, send)
        elif path.startswith(f"{JOBS_PATH}/"):
            await self._points(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def end_streams(self) -> None:
        """End what would never end by itself."""
        if self._app is not None:
            self._app.end_streams()

    def lifespan(self, _: Starlette) -> AbstractAsyncContextManager[None]:
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        """Open everything; raise ViewMismatch when the read tables are not what the schema declares."""
        notices = AppendNotices(self.url)
        notices.start()

        def appended() -> None:
            notices()
            self.count_append()

        commands = pool(self.url, self.connections_max)
        reading = _read_pool(self.url)
        log = EventLog(commands, wake=appended)
        state = AccessState(self.url, commands, log)
        async with reading, Progress(self.url) as progress:
            async with reading.connection() as connection:
                await check_views(schema, connection, timeline=TIMELINE.table)
            reads = Reads(schema, reading, timeline=TIMELINE)
            await to_thread.run_sync(state.start)
            authentication, desk = self._way_in(state, commands, log)
            documents = PersistedDocuments(reads.one, self.registered_only)
            services = Services(
                authentication=authentication,
                accounts=desk,
                webhooks=self._webhooks(commands),
                handler=Handler(log, policy=self.policy, zone=self.time_zone),
                log=log,
                reads=reads,
                progress=progress,
                projections=NAMES,
                page_sizes=self.page_sizes,
                live_log=LiveLog(log, reads.one),
                admission=Admission(reads, documents, Rates(self.rates)),
                tags=EntityTags(reads.one, PROJECTION_OF, _release()),
                engine=self.engine,
                persons=personal_parts.in_use(),
            )
            self._app = GraphQLApp(schema, services, graphiql=self.graphiql)
            self._exports = Exports(services, self.time_zone, Workbook)
            self._results = ResultFiles(services)
            self._forms = WorkOrderForms(services)
            self._replays = ReplayFiles(services, schema._schema, Workbook)
            self._points = PointsFiles(services, self.shelf)
            if self.partner_keys is not None and self.shelf is not None:
                self._partners = Partners(self.partner_keys, PartnerNonces(commands), self.shelf.gateway)
            self._rest = RestApp(services, OPERATIONS)
            try:
                yield
            finally:
                await to_thread.run_sync(state.close)
                notices.close()
                commands.close()

    def _webhooks(self, commands: ConnectionPool[Any]) -> WebhookSecrets | None:
        given = self.webhooks
        if given is None:
            return None
        return WebhookSecrets(commands, given.key_file, may_be_near=given.may_be_near)

    def _way_in(
        self, state: AccessState, commands: ConnectionPool[Any], log: EventLog
    ) -> tuple[Authentication, LoginDesk | None]:
        """Whoever is let in, by whatever token, is judged by what the log says of him."""
        given = self.access
        if given is None:
            gate = TokenGate(None, self.verify, state, frozenset())
            return Authentication(gate.verify, gate.acting, gate.still), None
        keys = SigningKeys(given.keys)
        own = OwnTokens(keys, given.audience)
        gate = TokenGate(own if given.has_login else None, self.verify, state, given.units)
        authentication = Authentication(given.counting(gate.verify), gate.acting, gate.still)
        desk = LoginDesk(log, AccessStore(commands), state, own, keys)
        if given.has_login:
            keys.newest()
            self._login = LoginApp(desk, authentication)
        return authentication, desk


def _release() -> str:
    """Differs where the same rows may be shown otherwise: in another schema or version."""
    return sha256(f"{version('cardinal')} {schema.as_str()}".encode()).hexdigest()


def _read_pool(url: str) -> AsyncConnectionPool[Any]:
    return AsyncConnectionPool(
        url,
        min_size=1,
        max_size=READ_CONNECTIONS_MAX,
        kwargs={"autocommit": True, "options": connection_options(), **CONNECTED},
        configure=configure,
        open=False,
        name="reads",
    )
