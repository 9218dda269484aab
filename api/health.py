"""What machines ask: is the process alive, is it ready for requests, and how is it doing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import orjson
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Part(Protocol):
    """Something that must be well before requests can be served; `fault` is None when it is."""

    @property
    def name(self) -> str: ...

    @property
    def fault(self) -> str | None: ...

    @property
    def measures(self) -> Mapping[str, float]: ...


Parts = Callable[[], Sequence[Part]]
"""All parts as they were seen last; answers at once."""


def health_routes(parts: Parts, metrics: Callable[[], bytes]) -> list[Route]:
    """`/healthz`, `/readyz` and `/metrics`; `metrics` gives the Prometheus text."""

    async def healthz(_: Request) -> Response:
        return _json({"status": "alive"}, 200)

    async def readyz(_: Request) -> Response:
        found = parts()
        ready = all(part.fault is None for part in found)
        body = {"status": "ready" if ready else "not ready", "parts": [_told(part) for part in found]}
        return _json(body, 200 if ready else 503)

    async def metrics_text(_: Request) -> Response:
        return Response(await to_thread.run_sync(metrics), headers={"Content-Type": METRICS_TYPE})

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics_text),
    ]


def _told(part: Part) -> dict[str, object]:
    told: dict[str, object] = {"name": part.name, "ready": part.fault is None}
    if part.fault is not None:
        told["fault"] = part.fault
    return {**told, **part.measures}


def _json(body: object, status: int) -> Response:
    return Response(orjson.dumps(body), status, {"Cache-Control": "no-store"}, "application/json")
