"""What bench/graphql measures, each in a process of its own: our API, a bare route, the projector.

python -m bench.graphql_servers <which> <database url> <home>; prints its port, 0 where it has none.
"""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from infrastructure.tokens import TokenRules

CONNECTIONS_MAX = 100
MESSAGE_BYTES_MAX = 65_536
PAGE_SIZE_MAX = 1_000  # the cap of production would be 100

# Written by hand: the answers of the two documents of bench/graphql, with nothing that they don't need.
_INSTANT = """to_char({} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
_ORDER = f"""json_build_object('id', 'wo_' || replace(o.id::text, '-', ''), 'version', o.version,
    'number', o.number, 'name', o.name, 'kind', upper(o.kind), 'orgUnit', o.org_unit,
    'status', upper(o.status), 'priority', upper(o.priority), 'requester', o.requester,
    'executionAt', {_INSTANT.format("o.execution_at")}, 'createdAt', {_INSTANT.format("o.created_at")},
    'remark', o.remark"""
_APPROVALS = f"""(select json_agg(json_build_object('id', 'apr_' || replace(a.id::text, '-', ''),
    'version', a.version, 'status', upper(a.status), 'requestedBy', a.requested_by,
    'requestedAt', {_INSTANT.format("a.requested_at")}, 'closedAt', {_INSTANT.format("a.closed_at")}))
    from (select * from read.approvals where subject_id = o.id and org_unit = any($1::text[])
        order by requested_at, id limit 3) a)"""
PAGE_SQL = f"""select json_build_object('data', json_build_object('workOrders', json_build_object('nodes',
    coalesce(json_agg({_ORDER}, 'approvals', json_build_object('nodes', coalesce({_APPROVALS}, '[]')))),
    '[]'))))::text
    from (select * from read.work_orders where org_unit = any($1::text[])
        order by created_at, id limit $2::int) o"""
ONE_SQL = f"""select json_build_object('data', json_build_object('workOrder', (
    select {_ORDER})
    from read.work_orders o where o.id = $2::uuid and o.org_unit = any($1::text[]))))::text"""
UNITS = ["HO", "SH", "SZ"]


def token_rules() -> "TokenRules":
    from infrastructure.tokens import TokenRules

    return TokenRules("cardinal-bench", "cardinal-bench", frozenset(UNITS))


def token(home: Path) -> str:
    """What the operator of head office shows."""
    from application.access import Role
    from infrastructure.token_keys import DevelopmentKey
    from infrastructure.tokens import issue

    key = DevelopmentKey.of(home)
    return issue(key, token_rules(), "operator", [Role.OPERATOR], "HO", timedelta(hours=1))


def ours(url: str, home: Path) -> None:
    """As `cardinal api` serves it, but for the page cap and the size of the buckets."""
    from api.application import KNOWN_PATHS, create_app
    from api.rates import RateRules
    from api.services import PageSizes
    from api.wiring import GraphQL
    from application.shared.approvable import ApprovalPolicy
    from infrastructure import logs
    from infrastructure.metrics import Metrics
    from infrastructure.token_keys import DevelopmentKey, TrustedKeys
    from infrastructure.tokens import Verifier

    logs.configure("api", "info", "json")
    key = DevelopmentKey.of(home)
    metrics = Metrics(KNOWN_PATHS, lambda: ())
    verifier = Verifier(TrustedKeys({key.kid: key.public}), token_rules())
    graphql = GraphQL(
        url,
        metrics.counting(verifier.verify),
        ApprovalPolicy(),
        metrics.count_append,
        PageSizes(PAGE_SIZE_MAX, PAGE_SIZE_MAX),
        rates=RateRules(10**12, 10**9),
    )
    app = create_app(
        parts=lambda: (),
        metrics=metrics.render,
        observe=metrics.observe_request,
        body_bytes_max=1_000_000,
        graphql_app=graphql,
        lifespan=graphql.lifespan,
    )
    _serve(app, graphql.end_streams)


def bare(url: str, _: Path) -> None:
    """Starlette, a pool, a statement, its text."""
    from uuid import UUID

    import orjson
    from psycopg import AsyncConnection, AsyncRawCursor
    from psycopg_pool import AsyncConnectionPool
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def configure(connection: AsyncConnection) -> None:
        connection.cursor_factory = AsyncRawCursor
        await connection.set_autocommit(True)

    connections = AsyncConnectionPool(url, min_size=1, max_size=8, configure=configure, open=False)

    async def answer(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        more = UUID(asked["id"]) if "id" in asked else asked["first"]
        async with connections.connection() as connection:
            cursor = await connection.execute(ONE_SQL if "id" in asked else PAGE_SQL, [UNITS, more])
            row = await cursor.fetchone()
        assert row is not None
        return Response(row[0], media_type="application/json")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with connections:
            yield

    _serve(Starlette(routes=[Route("/graphql", answer, methods=["POST"])], lifespan=lifespan))


def projector(url: str, _: Path) -> None:
    from api.processes import Signals, run_until_stopped
    from infrastructure.projection_runner import Projector

    with Signals() as signals:
        print(0, flush=True)
        run_until_stopped(signals, Projector(url).run)


def _serve(app: "ASGIApp", end_streams: Callable[[], None] = lambda: None) -> None:
    from api.listener import listen
    from api.processes import Signals
    from api.server import limited, serve

    with Signals() as signals, listen("127.0.0.1", 0) as listener:
        signals.defer()
        print(listener.getsockname()[1], flush=True)
        config = limited(app, connections_max=CONNECTIONS_MAX, message_bytes_max=MESSAGE_BYTES_MAX)
        serve(config, listener, signals, end_streams)


if __name__ == "__main__":
    {"ours": ours, "bare": bare, "projector": projector}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
