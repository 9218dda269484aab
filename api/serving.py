"""The API's process: everything that it stands on, opened, served and closed."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from api.application import KNOWN_PATHS, create_app
from api.certificates import Certificate
from api.processes import Signals
from api.rates import RateRules
from api.server import limited, serve
from api.services import PageSizes
from api.transport import TransportRules
from api.wiring import AccessSettings, GraphQL, WebhookSettings
from application.points_copies import PointsShelf
from infrastructure.embedded_database import Database
from infrastructure.file_folder import points_folder
from infrastructure.metrics import Metrics
from infrastructure.partner_keys import PartnerKeys
from infrastructure.points_gateway import gateway_of
from infrastructure.readiness import Part, Readiness
from infrastructure.segment_engine import segment_engine
from infrastructure.settings import Settings
from infrastructure.token_keys import TrustedKeys
from infrastructure.tokens import TokenRules, Verifier, trusted_keys
from projections.registry import NAMES


def _readiness(settings: Settings, database: Database, keys: TrustedKeys) -> Readiness:
    return Readiness(
        database.url,
        NAMES,
        settings.lag_max_s,
        settings.horizon_age_max_s,
        more=lambda: [Part("token keys", keys.fault)],
    )


def serve_api(
    settings: Settings,
    database: Database,
    signals: Signals,
    listener: socket.socket,
    at_work: Callable[[], None],
) -> None:
    """Serve until a signal comes; `at_work` is called when all is open."""
    with closing(trusted_keys(settings)) as keys, closing(_readiness(settings, database, keys)) as readiness:
        keys.start()
        readiness.start()
        metrics = Metrics(KNOWN_PATHS, readiness.parts)
        engine = segment_engine(settings)
        graphql = GraphQL(
            database.url,
            Verifier(keys, TokenRules.of(settings)).verify,
            settings.approval_policy,
            metrics.count_append,
            PageSizes(settings.page_size_max, settings.page_size_integrator_max),
            settings.database_connections_max,
            time_zone=settings.time_zone,
            engine=engine,
            shelf=PointsShelf(engine, gateway_of(settings), points_folder(settings.home)),
            access=AccessSettings.of(settings, metrics.counting),
            webhooks=WebhookSettings.of(settings),
            partner_keys=None if settings.partner_keys is None else PartnerKeys(settings.partner_keys),
            graphiql=not settings.is_production,
            rates=RateRules(
                settings.rate_capacity,
                settings.rate_restored_per_s,
                settings.user_requests_max,
                settings.user_sockets_max,
            ),
            registered_only=settings.registered_only_roles,
        )
        app = create_app(
            parts=readiness.parts,
            metrics=metrics.render,
            observe=metrics.observe_request,
            body_bytes_max=settings.body_bytes_max,
            transport=TransportRules(
                settings.requires_https, settings.trusted_proxies, settings.cors_origins
            ),
            graphql_app=graphql,
            lifespan=graphql.lifespan,
        )
        with _tls(settings) as tls:
            at_work()
            config = limited(
                app,
                connections_max=settings.requests_max,
                message_bytes_max=settings.body_bytes_max,
                tls=tls,
            )
            serve(config, listener, signals, graphql.end_streams)


@contextmanager
def _tls(settings: Settings) -> Iterator[ssl.SSLContext | None]:
    """The API's certificate, kept fresh; None where it serves plain HTTP."""
    settings.require_whole_certificate()
    if settings.tls_certificate is None or settings.tls_key is None:
        yield None
        return
    with closing(Certificate(settings.tls_certificate, settings.tls_key)) as certificate:
        yield certificate.context
