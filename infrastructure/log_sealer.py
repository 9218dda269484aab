"""The sealer: one leader reads what was recorded, folds it into the tree, signs the root and publishes it.

Off the append's path: it reads behind the horizon. A seal is committed first and published then; one that was
committed alone is published when the next leader begins. What it begins from is checked against what was
published, so that nobody gets the sealer to sign a history that was changed.
"""

import logging
import threading
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import psycopg

from application.shared.records import BEGINNING, Position
from infrastructure import database
from infrastructure.log_recorder import HORIZON
from infrastructure.merkle import TILE, Frontier, root_of, subtrees, tiled
from infrastructure.seal_folder import PublishedSeals, SealsDiffer, SealsUnreachable
from infrastructure.seal_keys import SealKeys, SealKeysUnavailable
from infrastructure.seals import GENESIS, Seal, Sealed, SealInvalid, public_bytes
from infrastructure.stored_leaves import STRETCH, Leaves, leaves

SEAL_EVENTS_MAX = 65_536
"""A multiple of `TILE`: while it catches up, each seal but the first begins with a tile."""
FULL_EVENTS = SEAL_EVENTS_MAX - TILE
RECONNECT_S = 1.0
LEAD_EVERY_S = 2.0

LEAD = "select pg_try_advisory_lock(hashtextextended('sealer', 0))"
LOG_ID = "select log_id from log.identity"
NEWEST_EPOCH = "select max(epoch) from log.epochs"
SEALS_AFTER = "select statement, signature from log.seals where number > %s order by number"
SEAL = "select statement, signature from log.seals where number = %s"
BASE = "select statement, signature from log.seals where not is_void order by number desc limit 1"
NEWEST_SEAL = "select coalesce(max(number), 0) from log.seals"
TILES = "select root from log.seal_tiles where number < %s order by number"
UNSEALED = f"where (epoch, position) > (%s, %s) and {HORIZON} order by epoch, position limit %s"
PARTIAL = "where (epoch, position) <= (%s, %s) order by epoch desc, position desc limit %s"
KEEP_SEAL = (
    "insert into log.seals (number, size, epoch, position, statement, signature, is_void)"
    " values (%s, %s, %s, %s, %s, %s, %s)"
)
KEEP_TILES = "copy log.seal_tiles (number, epoch, position, root) from stdin"

logger = logging.getLogger("cardinal.seals")


@dataclass(slots=True)
class Line:
    """What the next seal goes on from: `newest` in number, `base` in content (another after a restore)."""

    newest: Sealed | None
    base: Seal | None
    frontier: Frontier
    partial: Leaves
    """Those of the tile that is not whole yet."""


class Sealer:
    """Any number of processes may run one; `every_s` is the pause when little is left, the stated gap."""

    def __init__(self, url: str, keys: SealKeys, publication: PublishedSeals, every_s: float) -> None:
        self._url, self._keys, self._publication, self._every_s = url, keys, publication, every_s

    def run(self, stop: threading.Event) -> None:
        """Lead or wait to lead until `stop` is set. A contradiction is told until somebody has mended it."""
        while not stop.is_set():
            try:
                with closing(database.connect(self._url, statement_timeout_s=0)) as connection:
                    self._lead(connection, stop)
            except psycopg.OperationalError as error:
                logger.warning("the sealer waits for the database: %s", error)
                stop.wait(RECONNECT_S)
            except (SealsUnreachable, SealsDiffer, SealInvalid, SealKeysUnavailable) as fault:
                logger.error("nothing is sealed: %s", fault)
                stop.wait(max(self._every_s, RECONNECT_S))

    def seal_all(self) -> list[Seal]:
        """Seal what there is, once; nothing when another process leads.

        Raise SealsUnreachable, SealsDiffer, SealInvalid or SealKeysUnavailable.
        """
        found: list[Seal] = []
        with closing(database.connect(self._url, statement_timeout_s=0)) as connection:
            if _one(connection, LEAD):
                line = self._resumed(connection)
                while (sealed := self._sealed(connection, line)) is not None:
                    found.append(sealed.seal)
        return found

    def _lead(self, connection: psycopg.Connection[Any], stop: threading.Event) -> None:
        while not _one(connection, LEAD):
            if stop.wait(LEAD_EVERY_S):
                return
        line = self._resumed(connection)
        while not stop.is_set():
            sealed = self._sealed(connection, line)
            if sealed is None or sealed.seal.events < FULL_EVENTS:  # what comes meanwhile goes into one seal
                stop.wait(self._every_s)

    # --- where it goes on ----------------------------------------------------

    def _resumed(self, connection: psycopg.Connection[Any]) -> Line:
        """Publish what was only committed, take over what a restore has lost, and check the tree."""
        kept, published = _one(connection, NEWEST_SEAL), self._publication.newest()
        if published > kept:
            self._restored(connection, kept, published)
        for sealed in _seals(connection, published):
            self._publication.publish(sealed, _marks(connection, sealed.seal))
        newest, standing = _seal(connection, max(kept, published)), _found(connection, BASE)
        if newest is not None and self._publication.read(newest.seal.number) != newest:
            raise SealsDiffer(f"another seal {newest.seal.number} is published than the database holds")
        base = None if standing is None else standing.seal
        size = base.size if base else 0
        tiles, rest = divmod(size, TILE)
        frontier = Frontier()
        for (root,) in connection.execute(TILES, [tiles], binary=True):
            frontier.add(bytes(root), TILE)
        partial = leaves(connection, PARTIAL, *base.position, rest).reversed() if base and rest else Leaves()
        for leaf in partial.hashes:
            frontier.add(leaf)
        if frontier.size != size or (base is not None and frontier.root() != base.root):
            raise SealsDiffer("what was sealed has been changed: see `cardinal audit verify`")
        return Line(newest, base, frontier, partial)

    def _restored(self, connection: psycopg.Connection[Any], kept: int, published: int) -> None:
        """A restore has lost the newest seals. What they speak of is over; their numbers stay taken."""
        told = [self._publication.read(number) for number in range(max(1, kept), published + 1)]
        lost = [sealed for sealed in told if sealed is not None]
        if len(lost) != len(told):
            raise SealsDiffer(f"of the seals {kept} to {published} some are not where they were published")
        if kept and lost.pop(0) != _seal(connection, kept):
            raise SealsDiffer(f"another seal {kept} is published than the database holds")
        if _one(connection, NEWEST_EPOCH) <= lost[-1].seal.position.epoch:
            raise SealsDiffer(
                f"seals up to {published} are published, the database knows {kept}: its end is gone. If it"
                " was restored, say so: `cardinal migrate --restored`"
            )
        with connection.transaction():
            for sealed in lost:
                _keep(connection, sealed, is_void=True)

    # --- one seal ------------------------------------------------------------

    def _sealed(self, connection: psycopg.Connection[Any], line: Line) -> Sealed | None:
        """Seal the next stretch; None when there is none."""
        begin, size = (line.base.position, line.base.size) if line.base else (BEGINNING, 0)
        found = leaves(connection, UNSEALED, *begin, SEAL_EVENTS_MAX - size % TILE)
        if not found:
            return None
        frontier, stretch = line.frontier.copy(), Frontier()
        for root, count in subtrees(size, found.hashes):
            frontier.add(root, count)
            stretch.add(root, count)
        seal = self._seal_of(connection, line, frontier, stretch, found.position(-1))
        sealed = Sealed.sign(seal, next(key for key in self._keys.all() if public_bytes(key) == seal.key))
        open_ = line.partial + found
        roots, rest = tiled(open_.hashes)
        tiles = [(size // TILE + n, *open_.position(n * TILE), root) for n, root in enumerate(roots)]
        with connection.transaction():
            _keep(connection, sealed)
            with connection.cursor() as cursor, cursor.copy(KEEP_TILES) as copy:
                for tile in tiles:
                    copy.write_row(tile)
        self._publication.publish(sealed, found.marks())
        line.newest, line.base, line.frontier, line.partial = sealed, seal, frontier, open_.last(len(rest))
        return sealed

    def _seal_of(
        self,
        connection: psycopg.Connection[Any],
        line: Line,
        frontier: Frontier,
        stretch: Frontier,
        position: Position,
    ) -> Seal:
        newest = line.newest
        key, next_key = self._turn(newest)
        log: UUID = _one(connection, LOG_ID)
        if newest is not None and newest.seal.log != log:
            raise SealsDiffer(f"the seals published there are of another log, {newest.seal.log}")
        return Seal(
            log=log,
            number=newest.seal.number + 1 if newest else 1,
            continues=line.base.number if line.base else 0,
            size=frontier.size,
            events=stretch.size,
            position=position,
            root=frontier.root(),
            stretch=stretch.root(),
            previous=newest.hash if newest else GENESIS,
            sealed_at=datetime.now(UTC),
            key=key,
            next_key=next_key,
        )

    def _turn(self, newest: Sealed | None) -> tuple[bytes, bytes | None]:
        """Whose turn it is to sign, and whom this seal announces as the next."""
        keys = [public_bytes(key) for key in self._keys.all()]
        key = keys[0] if newest is None else newest.seal.next_key or newest.seal.key
        if key not in keys:
            raise SealKeysUnavailable("the key that has to sign the next seal is not among them")
        following = dict(pairwise(keys)).get(key)
        return key, following


def _marks(connection: psycopg.Connection[Any], seal: Seal) -> bytes:
    """Raise SealsDiffer when the events are not what was sealed."""
    before = _seal(connection, seal.continues)
    begin = before.seal.position if before else BEGINNING
    found = leaves(connection, STRETCH, *begin, *seal.position)
    if root_of(found.hashes) != seal.stretch:
        raise SealsDiffer(f"what seal {seal.number} seals was changed before it was published")
    return found.marks()


def _seal(connection: psycopg.Connection[Any], number: int) -> Sealed | None:
    return _found(connection, SEAL, number)


def _found(connection: psycopg.Connection[Any], sql: str, *given: int) -> Sealed | None:
    row = connection.execute(sql.encode(), given).fetchone()
    return None if row is None else Sealed.parse(row[0], bytes(row[1]))


def _seals(connection: psycopg.Connection[Any], after: int) -> list[Sealed]:
    return [Sealed.parse(text, bytes(signed)) for text, signed in connection.execute(SEALS_AFTER, [after])]


def _keep(connection: psycopg.Connection[Any], sealed: Sealed, *, is_void: bool = False) -> None:
    seal = sealed.seal
    given = [seal.number, seal.size, *seal.position, sealed.statement, sealed.signature, is_void]
    connection.execute(KEEP_SEAL, given)


def _one(connection: psycopg.Connection[Any], sql: str) -> Any:
    row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]
