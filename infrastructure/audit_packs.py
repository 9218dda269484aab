"""An auditor's pack: what was recorded of a subject, proved by a seal, in one file that is judged by itself.

A zip of four: `events.jsonl` has each event's envelope as it was hashed, its place in the tree and the path
to the root; `seals.json` the seal with that root, and those by which its key follows from the first one;
`timeline.html` is for people; `README.txt` tells how to verify. All streams are whole, from version 1.
"""

import html
import json
import zipfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from application.shared.records import BEGINNING, GENESIS, Position
from infrastructure.database import connect
from infrastructure.envelope import FIELDS, chained_hash, instant
from infrastructure.merkle import TILE, Tree, includes, leaf_of, root_of
from infrastructure.seal_folder import PublishedSeals, SealsDiffer
from infrastructure.seals import Sealed, SealInvalid
from infrastructure.stored_records import SELECTED, StoredRecord, stored

EVENTS, SEALS, TIMELINE, README = "events.jsonl", "seals.json", "timeline.html", "README.txt"
SUBJECTS_MAX = 1_000
EVENTS_MAX = 200_000
MEMBER_BYTES_MAX = 1_000_000_000
LINE_BYTES_MAX = 16_000_000

# What belongs to a subject, and to that: from an activity to its work orders, their runs and so on.
BELONGING = """
with recursive subject (id) as (
    select unnest(%s::uuid[])
    union
    select found.id from subject s cross join lateral (
        select w.id from read.work_orders w where w.activity_id = s.id
        union all select b.id from read.budgets b where b.activity_id = s.id
        union all select k.id from read.stocks k where k.activity_id = s.id
        union all select j.id from read.points_jobs j where j.activity_id = s.id or j.run_id = s.id
        union all select r.id from read.segment_runs r where r.work_order_id = s.id or r.definition_id = s.id
        union all select d.id from read.segment_definitions d where d.work_order_id = s.id
        union all select c.id from read.cancellations c where c.work_order_id = s.id
        union all select a.id from read.approvals a where a.subject_id = s.id) found)
select id from subject
"""
RECORDS = f"select {SELECTED} from log.events where stream_id = any(%s) order by stream_id, version limit %s"
TILES = "select epoch, position, root from log.seal_tiles where number < %s order by number"
LEAVES = (
    b"select epoch, position, hash from log.events where (epoch, position) >= (%s, %s)"
    b" and (epoch, position) <= (%s, %s) order by epoch, position limit %s"
)


class PackInvalid(Exception):
    """The file is no pack, or a damaged one."""


class NothingToPack(Exception):
    """There are no events of these subjects, or more than a pack holds."""


@dataclass(slots=True)
class PackReport:
    """`faults` in the order of the pack, each with the position of its event where it has one."""

    events: int = 0
    streams: int = 0
    sealed: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


# --- Packing ----------------------------------------------------------------


def pack(url: str, published: PublishedSeals, subjects: Sequence[UUID], into: Path) -> PackReport:
    """Write the pack of the subjects and what belongs to them; nothing is there when it fails.

    Raise NothingToPack, SealsUnreachable, SealInvalid, or SealsDiffer when the log is not what was sealed.
    """
    with connect(url, statement_timeout_s=0) as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        streams = [id_ for (id_,) in connection.execute(BELONGING, [list(subjects)])]
        given = [streams, EVENTS_MAX + 1]
        records = [stored(row) for row in connection.execute(RECORDS.encode(), given, binary=True)]
        if not records or len(records) > EVENTS_MAX:
            raise NothingToPack(f"{len(records) or 'no'} events, where a pack holds 1 to {EVENTS_MAX:,}")
        sealed = published.read(published.newest())
        proofs = _Proofs(connection, sealed) if sealed else None
        report = PackReport(len(records), len(streams))
        beside = into.with_name(f".{into.name}")
        try:
            with zipfile.ZipFile(beside, "x", zipfile.ZIP_DEFLATED) as archive:
                with archive.open(EVENTS, "w") as file:
                    for record in records:
                        proof = proofs.of(record) if proofs else None
                        report.sealed += proof is not None
                        file.write(_line(record, proof))
                archive.writestr(SEALS, json.dumps(_seals(published, sealed), indent=1))
                archive.writestr(TIMELINE, _timeline(records))
                archive.writestr(README, HOW)
            beside.replace(into)
        finally:
            beside.unlink(missing_ok=True)
    if report.sealed < report.events:
        report.notes.append(
            f"{report.events - report.sealed} events are not sealed yet: seal, then pack again"
        )
    return report


class _Proofs:
    """Paths of events to the root of one seal, each tile read once."""

    def __init__(self, connection: psycopg.Connection[Any], sealed: Sealed) -> None:
        self._connection, self._seal = connection, sealed.seal
        rows = connection.execute(TILES, [self._seal.size // TILE], binary=True).fetchall()
        self._first = [Position(epoch, offset) for epoch, offset, _ in rows]
        self._events = cache(self._read)
        self._tree = Tree(self._seal.size, [bytes(root) for _, _, root in rows], self._leaves)
        if self._tree.root() != self._seal.root:
            raise self._differs()

    def of(self, record: StoredRecord) -> tuple[int, list[bytes]] | None:
        """The event's number in the tree and its path; None for one that is not sealed yet."""
        position = record.position
        assert position is not None
        if position > self._seal.position:
            return None
        tile = max(0, bisect_right(self._first, position) - 1)
        places = [place for place, _ in self._events(tile)]
        if len(places) >= TILE and position not in places:
            tile, places = tile + 1, [place for place, _ in self._events(tile + 1)]
        index = tile * TILE + places.index(position)
        return index, self._tree.inclusion(index)

    def _leaves(self, tile: int) -> list[bytes]:
        return [leaf for _, leaf in self._events(tile)]

    def _read(self, tile: int) -> list[tuple[Position, bytes]]:
        """The tile's events with their leaves. Raise SealsDiffer when they are not those of its root."""
        if tile < len(self._first):
            found = self._read_from(self._first[tile], TILE)
            if root_of([leaf for _, leaf in found]) != self._tree.tiles[tile]:
                raise self._differs()
            return found
        # The tile that is not whole comes after the last of the whole ones.
        last = self._read_from(self._first[-1], TILE + 1) if self._first else []
        begin = last[TILE][0] if len(last) > TILE else BEGINNING
        return self._read_from(begin, min(TILE, self._seal.size - tile * TILE))

    def _read_from(self, begin: Position, most: int) -> list[tuple[Position, bytes]]:
        rows = self._connection.execute(LEAVES, [*begin, *self._seal.position, most], binary=True)
        return [(Position(epoch, offset), leaf_of(epoch, offset, hash_)) for epoch, offset, hash_ in rows]

    def _differs(self) -> SealsDiffer:
        number = self._seal.number
        return SealsDiffer(f"the log is not what seal {number} saw: `cardinal audit verify` says where")


def _line(record: StoredRecord, proof: tuple[int, list[bytes]] | None) -> bytes:
    told = {
        **dict(zip(FIELDS, _texts(record), strict=True)),
        "position": str(record.position),
        "hash": record.hash.hex(),
        "index": proof and proof[0],
        "path": proof and [node.hex() for node in proof[1]],
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _texts(record: StoredRecord) -> Iterator[str | None]:
    """The fields as they are hashed; what is no text in hexadecimal."""
    context = record.context
    yield str(record.originator_id)
    yield record.stream_type
    yield str(record.originator_version)
    yield record.topic
    yield str(record.schema_version)
    yield str(record.event_id)
    yield instant(record.recorded_at)
    yield instant(context.effective_at)
    yield context.actor
    yield context.on_behalf_of
    yield context.org_unit
    yield str(context.command_id)
    yield str(context.correlation_id)
    yield None if context.causation_id is None else str(context.causation_id)
    yield context.reason
    yield record.state.decode()
    yield None if record.personal is None else record.personal.hex()
    yield None if record.personal_key_id is None else str(record.personal_key_id)
    yield record.previous_hash.hex()


def _seals(published: PublishedSeals, sealed: Sealed | None) -> dict[str, Any]:
    """The seal, and the first one with each that announced a key: by them the seal's key follows."""
    if sealed is None:
        return {"seal": None, "keys": []}
    keys = []
    for number in range(1, sealed.seal.number):
        earlier = published.read(number)
        if earlier is not None and (number == 1 or earlier.seal.next_key is not None):
            keys.append(earlier.content().decode())
    return {"seal": sealed.content().decode(), "keys": keys}


# --- Judging ----------------------------------------------------------------


def verify_pack(path: Path, trusted: bytes | None = None) -> PackReport:
    """Judge a pack by itself: hashes, chains, paths, signatures. Raise PackInvalid, or OSError.

    `trusted` is the public key of the first seal, as its auditor has it; without it that seal is believed.
    """
    report = PackReport()
    try:
        with zipfile.ZipFile(path) as archive:
            sealed = _judged_seal(json.loads(_member(archive, SEALS)), trusted, report)
            with archive.open(EVENTS) as lines:
                _judge(_told(iter(lambda: lines.readline(LINE_BYTES_MAX), b"")), sealed, report)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError, RecursionError) as error:
        raise PackInvalid(f"{path.name} is no pack, or a damaged one ({type(error).__name__})") from error
    return report


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MEMBER_BYTES_MAX:
        raise ValueError(f"{name} is too large")
    return archive.read(name)


def _judged_seal(told: Any, trusted: bytes | None, report: PackReport) -> Sealed | None:
    if told["seal"] is None:
        report.notes.append("no seal: only the chains were checked")
        return None
    try:
        chain = [Sealed.of_content(each.encode()) for each in (*told["keys"], told["seal"])]
    except SealInvalid as invalid:
        report.faults.append(("", f"a seal of the pack: {invalid}"))
        return None
    key = chain[0].seal.key if trusted is None else trusted
    if trusted is None:
        report.notes.append(f"the key of seal {chain[0].seal.number} was believed: {key.hex()}")
    for sealed in chain:
        if sealed.seal.key != key or sealed.seal.log != chain[-1].seal.log:
            report.faults.append(("", f"seal {sealed.seal.number} is not signed by the key that was due"))
            return None
        key = sealed.seal.next_key or key
    return chain[-1]


def _told(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        told = json.loads(line)
        if not isinstance(told, dict):
            raise TypeError("an event is an object")
        yield told


def _judge(events: Iterable[dict[str, Any]], sealed: Sealed | None, report: PackReport) -> None:
    stream, version, previous = "", 0, GENESIS.hex()
    for told in events:
        report.events += 1
        if told["stream_id"] != stream:
            stream, version, previous = told["stream_id"], 0, GENESIS.hex()
            report.streams += 1
        version += 1
        report.faults += [
            (told["position"], problem) for problem in _problems(told, version, previous, sealed)
        ]
        report.sealed += told["index"] is not None
        previous = told["hash"]
    if report.events == 0:
        raise ValueError("no events")


def _problems(told: dict[str, Any], version: int, previous: str, sealed: Sealed | None) -> Iterator[str]:
    if told["version"] != str(version):
        yield f"version {version} of {told['stream_id']} is missing"
    elif told["previous_hash"] != previous:
        yield "it does not follow from the event before"
    if chained_hash(_hashed(told)).hex() != told["hash"]:
        yield "its content is not what was hashed"
    if told["index"] is None or sealed is None:
        return
    position = Position.parse(told["position"])
    path = [bytes.fromhex(node) for node in told["path"]]
    leaf = leaf_of(*position, bytes.fromhex(told["hash"]))
    if not includes(sealed.seal.root, sealed.seal.size, int(told["index"]), leaf, path):
        yield f"it is not what seal {sealed.seal.number} saw"


def _hashed(told: dict[str, Any]) -> Iterator[str | bytes | None]:
    for name in FIELDS:
        text: str | None = told[name]
        is_bytes = name in ("personal", "previous_hash")
        yield bytes.fromhex(text) if is_bytes and text is not None else text


# --- For people ---------------------------------------------------------------

HOW = """Cardinal: an auditor's pack 审计包

  cardinal audit verify --pack <this file> --key <the first seal's public key, as you have it>

recomputes every hash, follows every chain and proves each event to be in the sealed log, without a database.
无需数据库即可校验：重算每个哈希、核对每条链，并证明每个事件都在已封存的日志中。
timeline.html shows the events in the order of their positions. timeline.html 按先后顺序列出事件。
"""
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Cardinal: timeline 时间线</title>
<style>body{font:14px/1.5 system-ui,sans-serif;margin:2rem;color:#1b1f24;background:#fff}
table{border-collapse:collapse}
th,td{text-align:left;vertical-align:top;padding:.3rem .8rem;border-bottom:1px solid #d8dee4}
td:first-child{white-space:nowrap}pre{margin:0;white-space:pre-wrap;max-width:60rem;font-size:12px}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,td{border-color:#30363d}}</style>
<h1>Timeline 时间线</h1><table><thead><tr><th>Recorded (UTC) 记录时间<th>What 事件<th>Who 操作人<th>Unit 机构
<th>Subject 对象<th>Details 内容</tr></thead><tbody>
"""


def _timeline(records: Sequence[StoredRecord]) -> str:
    rows = []
    for record in sorted(records, key=lambda each: each.position or Position(0, 0)):
        context = record.context
        actor = context.actor if context.on_behalf_of is None else f"{context.actor} → {context.on_behalf_of}"
        cells = (
            record.recorded_at.astimezone(UTC).isoformat(sep=" ", timespec="seconds")[:19],
            record.topic,
            actor,
            context.org_unit,
            f"{record.stream_type} {record.originator_id} v{record.originator_version}",
        )
        told = json.dumps(json.loads(record.state), ensure_ascii=False, indent=1)
        shown = "".join(f"<td>{html.escape(cell)}" for cell in cells)
        rows.append(
            f"<tr>{shown}<td><details><summary>…</summary><pre>{html.escape(told)}</pre></details></tr>"
        )
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return f"{PAGE}{''.join(rows)}</tbody></table><p>{len(records)} events, {made}</p></html>"
