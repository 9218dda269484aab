"""One POST to an address that others have chosen: never to a private one, never longer than its limits.

The name is resolved here, every address that it has is looked at, and the connection goes to an address that
was looked at, under the name for Host and TLS: what the name means a moment later changes nothing.
"""

import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any

import anyio
import httpcore
from anyio.from_thread import start_blocking_portal

from domain.webhook_contents import is_public_address

TOTAL_S = 20.0
CONNECT_S = 5.0
EXCERPT_S = 2.0
EXCERPT_BYTES_MAX = 1_024
ADDRESSES_TRIED_MAX = 4

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a name. Raise OSError when it has none."""


class Outcome(StrEnum):
    """DELIVERED: an answer from 200 to 299. REFUSED: any other but 410 (GONE) and 300 to 399 (REDIRECTED,
    which nobody follows).
    """

    DELIVERED = "delivered"
    REFUSED = "refused"
    GONE = "gone"
    REDIRECTED = "redirected"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    BAD_ANSWER = "bad_answer"
    PRIVATE_ADDRESS = "private_address"
    NOT_SIGNED = "not_signed"


@dataclass(frozen=True, slots=True)
class Answer:
    """`response` is the beginning of the body, or what went wrong; at most 1,024 bytes in UTF-8."""

    outcome: Outcome
    duration_ms: int
    status_code: int | None = None
    response: str = ""


class PrivateAddress(Exception):
    """A name has an address that must not be sent to."""


class WebhookSender:
    """Sends from any thread; the network is one event loop's, so that a limit ends whatever waits."""

    def __init__(
        self,
        *,
        may_be_near: bool = False,
        total_s: float = TOTAL_S,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._network = _Network(may_be_near, resolve or _resolve)
        self._total_s = total_s
        self._tls = tls or ssl.create_default_context()
        self._loop = start_blocking_portal()

    def __enter__(self) -> "WebhookSender":
        self._portal = self._loop.__enter__()
        return self

    def __exit__(
        self, type_: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.__exit__(type_, error, trace)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Whatever happens is an answer; it takes `total_s` at most."""
        return self._portal.call(self._post, url, headers, body)

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        started_s = time.monotonic()

        def answer(outcome: Outcome, status_code: int | None = None, response: str = "") -> Answer:
            duration_ms = round((time.monotonic() - started_s) * 1_000)
            return Answer(outcome, duration_ms, status_code, excerpt(response))

        try:
            with anyio.fail_after(self._total_s):
                status_code, response = await self._exchange(url, headers, body)
        except PrivateAddress as error:
            return answer(Outcome.PRIVATE_ADDRESS, response=str(error))
        except (TimeoutError, httpcore.TimeoutException):
            return answer(Outcome.TIMED_OUT)
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, UnicodeError, ValueError) as error:
            return answer(Outcome.BAD_ANSWER, response=str(error))
        except (httpcore.NetworkError, OSError) as error:
            return answer(Outcome.UNREACHABLE, response=str(error))
        return answer(_outcome(status_code), status_code, response)

    async def _exchange(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=self._tls, max_connections=1, network_backend=self._network
            ) as pool,
            pool.stream(
                "POST",
                url,
                headers=list(headers.items()),
                content=body,
                extensions={"timeout": {"connect": CONNECT_S}},
            ) as response,
        ):
            found = b""
            with suppress(httpcore.NetworkError, httpcore.ProtocolError), anyio.move_on_after(EXCERPT_S):
                async for part in response.aiter_stream():
                    found += part[: EXCERPT_BYTES_MAX - len(found)]
                    if len(found) == EXCERPT_BYTES_MAX:
                        break
            return response.status, found.decode(errors="replace")


class _Network(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were looked at, and to nothing else."""

    def __init__(self, may_be_near: bool, resolve: Resolve) -> None:
        self._may_be_near, self._resolve = may_be_near, resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host, port)
        if not self._may_be_near:
            for address in addresses:
                if not is_public_address(address):
                    raise PrivateAddress(f"{host} has the address {address}")
        failed: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses[:ADDRESSES_TRIED_MAX]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await anyio.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for _, _, _, _, address in found))


def excerpt(text: str) -> str:
    """The text without what PostgreSQL and terminals don't take, at most 1,024 bytes of it."""
    clean = "".join(character if character.isprintable() else " " for character in text[:EXCERPT_BYTES_MAX])
    return clean.encode()[:EXCERPT_BYTES_MAX].decode(errors="ignore")


def _outcome(status_code: int) -> Outcome:
    if 200 <= status_code < 300:
        return Outcome.DELIVERED
    if status_code == 410:
        return Outcome.GONE
    return Outcome.REDIRECTED if 300 <= status_code < 400 else Outcome.REFUSED
