"""Subscriptions, executed once for all who ask the same in the same scope; each follows at his own pace.

A feed executes one document for one scope as the log goes on and keeps the newest results as JSON. Its
subscribers take them from there: nothing is queued for anybody, so a slow one costs nothing and is told his
position when what he needs next is gone. Who begins further back has the past executed for himself alone,
until he meets the feed.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from inspect import isawaitable
from typing import Any, NamedTuple

import orjson
import strawberry
import structlog
from anyio import to_thread
from graphql import ExecutionResult, GraphQLError, subscribe

from api.context import Context
from api.events import abandoned
from api.graphql_errors import answer_of, code_of, log_faults, refused
from api.live_log import RETRY_S, Stream
from api.messages import Language, message
from api.planner.reads import DATABASE_FAULTS
from api.services import Services
from api.subscription_requests import Asked, Refused
from application.shared.identifiers import uuid7
from application.shared.records import BEGINNING, Position

FRAMES_MAX = 500
FRAME_CHARACTERS_MAX = 4_000_000
"""Of the results that a feed keeps, together."""
PER_USER_MAX = 200

logger = structlog.get_logger("cardinal.feeds")


class Frame(NamedTuple):
    """One result: the JSON text of a GraphQL response, and where in the log it stands."""

    position: Position
    payload: str


class TooSlow(Exception):
    """What the subscriber needs next is not kept any more."""


class Ended(Exception):
    """The process goes: the subscriber takes up at another one."""


@dataclass(slots=True)
class Feed:
    """The results after `low`, without a gap; `first` is the number of the oldest that is kept."""

    low: Position = BEGINNING
    first: int = 0
    frames: deque[Frame] = field(default_factory=deque)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    end: Exception | None = None
    subscribers: int = 0
    task: asyncio.Task[None] | None = None
    _characters: int = 0

    @property
    def newest(self) -> Position:
        return self.frames[-1].position if self.frames else self.low

    @property
    def next(self) -> int:
        return self.first + len(self.frames)

    def begin(self, low: Position) -> None:
        self.low = low
        self.begun.set()

    def add(self, frame: Frame) -> None:
        self.frames.append(frame)
        self._characters += len(frame.payload)
        while len(self.frames) > FRAMES_MAX or self._characters > FRAME_CHARACTERS_MAX:
            gone = self.frames.popleft()
            self._characters -= len(gone.payload)
            self.low, self.first = gone.position, self.first + 1
        self._wake()

    def finish(self, end: Exception) -> None:
        self.end = self.end or end
        self.begun.set()
        self._wake()

    def number_after(self, position: Position) -> int:
        """The number of the first result behind the position."""
        behind = 0
        for frame in reversed(self.frames):
            if frame.position <= position:
                break
            behind += 1
        return self.next - behind

    def _wake(self) -> None:
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()


class Subscriber:
    """One who follows a feed. `at` is the position of the last result that he took, or where he began.

    `begun` is set when what happens from then on reaches him.
    """

    def __init__(self, feeds: "Feeds", asked: Asked, begun: asyncio.Event) -> None:
        self._feeds, self._asked, self._begun = feeds, asked, begun
        self.at = asked.after

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """All results behind his position, in order, each once. Raises Refused, TooSlow and Ended."""
        if self.at is not None and await self._feeds.is_abandoned(self.at):
            raise Refused([abandoned(self._asked.context.language)])
        feed = self._feeds.join(self._asked)
        try:
            await feed.begun.wait()
            self._begun.set()
            at = feed.newest if self.at is None else self.at
            while at < feed.low and feed.end is None:
                stream = self._feeds.stream(at, until=lambda: feed.low)
                async with aclosing(self._feeds.executed(self._asked, self._asked.context, stream)) as past:
                    async for frame in past:
                        yield frame
                        self.at = frame.position
                at = stream.at
            self.at, number = at, feed.number_after(at)
            while True:
                if number < feed.first:
                    raise TooSlow
                if number < feed.next:
                    frame = feed.frames[number - feed.first]
                    number += 1
                    if frame.position > at:
                        yield frame
                        self.at = frame.position
                elif feed.end is not None:
                    raise feed.end
                else:
                    await feed.moved.wait()
        finally:
            self._feeds.leave(feed, self._asked)


class Feeds:
    """The feeds of one process."""

    def __init__(self, schema: strawberry.Schema, services: Services) -> None:
        self._schema, self._services = schema._schema, services
        self._feeds: dict[Hashable, Feed] = {}
        self._counts: Counter[str] = Counter()
        self._is_over = False

    def join(self, asked: Asked) -> Feed:
        """The feed of what is asked, begun if need be. Each `join` has its `leave`."""
        user = asked.context.principal.user
        if self._is_over:
            raise Ended
        if self._counts[user] >= PER_USER_MAX:
            raise Refused([too_many(PER_USER_MAX, asked.context.language)])
        feed = self._feeds.get(asked.key)
        if feed is None:
            feed = self._feeds[asked.key] = Feed()
            feed.task = asyncio.create_task(self._run(feed, asked), name="feed")
        feed.subscribers += 1
        self._counts[user] += 1
        return feed

    def leave(self, feed: Feed, asked: Asked) -> None:
        """A feed ends with its last subscriber."""
        user = asked.context.principal.user
        feed.subscribers -= 1
        self._counts[user] -= 1
        if not self._counts[user]:
            del self._counts[user]
        if not feed.subscribers:
            self._forget(feed, asked)
            if feed.task is not None:
                feed.task.cancel()

    async def is_abandoned(self, position: Position) -> bool:
        return await to_thread.run_sync(self._services.log.is_abandoned, position)

    def end(self) -> None:
        """Every subscriber is told that it is over."""
        self._is_over = True
        for feed in self._feeds.values():
            feed.finish(Ended())

    def stream(self, at: Position, until: Callable[[], Position] | None = None) -> Stream:
        services = self._services
        return Stream(services.live_log, services.log, services.progress, at, until)

    async def executed(self, asked: Asked, context: Context, stream: Stream) -> AsyncGenerator[Frame, None]:
        """The results of what is asked, for the viewer of the context, over what the stream reads."""
        context = replace(context, stream=stream)
        results = subscribe(
            self._schema,
            asked.document,
            context_value=context,
            variable_values=dict(asked.variables),
            operation_name=asked.name,
        )
        if isawaitable(results):
            results = await results
        if isinstance(results, ExecutionResult):
            raise Refused(results.errors or ())
        async with aclosing(results):  # type: ignore[type-var]
            try:
                async for result in results:
                    log_faults(result.errors, context.request_id)
                    answer = answer_of(result.data, result.errors, context)
                    yield Frame(stream.at, text_of(answer))
            except GraphQLError as error:
                raise Refused([error]) from None

    async def _run(self, feed: Feed, asked: Asked) -> None:
        context = replace(asked.shared, request_id=f"feed-{uuid7()}")
        live_log = self._services.live_log
        try:
            await live_log.open()
            try:
                newest = await live_log.newest()
                after = newest if asked.after is None else min(asked.after, newest)
                feed.begin(after if live_log.holds(after) else newest)
                while True:
                    await self._feed(feed, asked, context)
            finally:
                live_log.release()
        except Refused as refusal:
            feed.finish(refusal)
        except Exception as error:
            logger.error("a feed broke off", request_id=context.request_id, exc_info=error)
            feed.finish(Refused([refused(code_of(error), context.language)]))
        finally:
            self._forget(feed, asked)

    async def _feed(self, feed: Feed, asked: Asked, context: Context) -> None:
        """Go on behind the newest result, until the database is lost."""
        try:
            async with aclosing(self.executed(asked, context, self.stream(feed.newest))) as results:
                async for frame in results:
                    feed.add(frame)
                    await asyncio.sleep(0)  # a long stretch must not keep the others waiting
        except DATABASE_FAULTS as error:
            logger.warning("a feed waits for the database", request_id=context.request_id, error=repr(error))
            await asyncio.sleep(RETRY_S)

    def _forget(self, feed: Feed, asked: Asked) -> None:
        if self._feeds.get(asked.key) is feed:
            del self._feeds[asked.key]


def too_many(most: int, language: Language) -> GraphQLError:
    text = message("too_many_subscriptions", {"most": str(most)}, language)
    return GraphQLError(text, extensions={"code": "LIMIT_EXCEEDED"})


def text_of(answer: Mapping[str, Any]) -> str:
    return orjson.dumps(answer, default=str).decode()
