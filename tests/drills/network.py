"""The network between product and database: a proxy of asyncio that tears, delays and swallows."""

import asyncio
import random
import threading
from contextlib import suppress
from pathlib import Path

CHUNK_BYTES = 1 << 16
SOCKET = ".s.PGSQL.5432"


class Link:
    """One connection, with what passes in both directions. A silent one swallows, and nobody is told."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self._writers = writers
        self.is_silent = False

    def tear(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


class Network:
    """Listens in `folder` as libpq expects and leads to the server's socket. Safe to share between threads.

    `delay_s` is what each message takes at most, `torn_share` the share of messages of which only a part
    arrives, and nothing after.
    """

    def __init__(self, folder: Path, server: Path, seed: int = 1) -> None:
        self._folder, self._server, self._dice = folder, server, random.Random(seed)
        self.delay_s = self.torn_share = 0.0
        self.torn = self.swallowed = 0
        self._links: set[Link] = set()
        self._loop = asyncio.new_event_loop()
        self._began, self._ended = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        self._began.wait(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(30)
        self._loop.close()

    def silence(self, share: float) -> None:
        """That share of the connections there are says nothing any more, until `tear_silent`."""

        def choose() -> None:
            for link in self._links:
                link.is_silent = self._dice.random() < share
                self.swallowed += link.is_silent

        self._loop.call_soon_threadsafe(choose)

    def tear_silent(self) -> None:
        def tear() -> None:
            for link in [link for link in self._links if link.is_silent]:
                link.tear()

        self._loop.call_soon_threadsafe(tear)

    async def _serve(self) -> None:
        server = await asyncio.start_unix_server(self._connected, self._folder / SOCKET)
        self._began.set()
        await self._ended.wait()
        server.close()
        for link in list(self._links):
            link.tear()
        await asyncio.sleep(0.1)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_unix_connection(self._server)
        except OSError:
            writer.transport.abort()
            return
        link = Link(writer, there_writer)
        self._links.add(link)
        try:
            await asyncio.gather(
                self._pass_on(link, reader, there_writer), self._pass_on(link, there_reader, writer)
            )
        finally:
            self._links.discard(link)

    async def _pass_on(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self._dice.uniform(0, self.delay_s))
                if link.is_silent:
                    continue
                if self._dice.random() < self.torn_share:
                    self.torn += 1
                    writer.write(data[: self._dice.randrange(len(data))])
                    await asyncio.sleep(0)
                    break
                writer.write(data)
                await writer.drain()
        link.tear()
