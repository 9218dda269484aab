"""A client of graphql-transport-ws, as small as it can be."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.api.house import House


class Subscriber:
    """Sends and receives messages of the protocol; `id_` names the operation where none is named."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._pushed: list[Any] = []

    async def send(self, **message: Any) -> None:
        await self.socket.send(orjson.dumps(message).decode())

    async def receive(self, timeout_s: float = 10) -> Any:
        return self._pushed.pop(0) if self._pushed else await self._received(timeout_s)

    async def _received(self, timeout_s: float = 10) -> Any:
        text = await asyncio.wait_for(self.socket.recv(), timeout_s)
        assert isinstance(text, str), "frames are text"
        return orjson.loads(text)

    async def subscribe(self, document: str, id_: str = "1", **variables: Any) -> None:
        await self.send(id=id_, type="subscribe", payload={"query": document, "variables": variables})
        await self.send(type="ping")
        while (message := await self._received()) != {"type": "pong"}:
            self._pushed.append(message)

    async def until(self, is_it: Callable[[Any], bool]) -> Any:
        """The first root field of which it is true."""
        while not is_it(found := await self.next()):
            pass
        return found

    async def next(self, timeout_s: float = 10) -> Any:
        """The one root field of the next result."""
        message = await self.receive(timeout_s)
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        (found,) = message["payload"]["data"].values()
        return found

    async def nothing(self, for_s: float = 0.5) -> None:
        with contextlib.suppress(TimeoutError):
            raise AssertionError(await self.receive(for_s))

    async def closed(self, timeout_s: float = 10) -> tuple[int | None, str | None]:
        """Code and reason of the close; what comes before is passed over."""
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await self.receive(timeout_s)
        return self.socket.close_code, self.socket.close_reason


@contextlib.asynccontextmanager
async def opened(house: House, **options: Any) -> AsyncIterator[Subscriber]:
    """A socket that has said nothing yet."""
    url = f"ws://{house.url}/graphql"
    protocols = ["graphql-transport-ws"]
    async with connect(url, subprotocols=protocols, **options) as socket:  # type: ignore[arg-type]
        yield Subscriber(socket)


@contextlib.asynccontextmanager
async def subscriber(house: House, user: str, **options: Any) -> AsyncIterator[Subscriber]:
    async with opened(house, **options) as client:
        await client.send(type="connection_init", payload={"authorization": f"Bearer {user}"})
        assert await client.receive() == {"type": "connection_ack"}
        yield client
