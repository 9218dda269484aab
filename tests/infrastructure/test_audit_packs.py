"""A pack is judged by itself: what is in it was recorded, and whoever changes a bit of it is found out."""

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import psycopg
import pytest

from infrastructure.audit_packs import EVENTS, SEALS, TIMELINE, NothingToPack, PackInvalid, pack, verify_pack
from infrastructure.event_log import EventLog
from infrastructure.merkle import TILE
from infrastructure.seal_folder import SealsDiffer
from tests.infrastructure.seal_world import TAMPERS, Sealing, record


@pytest.fixture
def sealing(log: EventLog, cardinal_url: str, tmp_path: Path) -> Sealing:
    """Two tiles and a bit in several seals, the last by a second key; some events are not sealed."""
    made, dice, streams = Sealing(cardinal_url, tmp_path), Random(5), list[UUID]()
    for appends in (100, 100, 90):
        record(log, dice, streams, appends)
        made.sealer.seal_all()
    made.keys.rotate()
    for appends in (2, 2):
        record(log, dice, streams, appends)
        made.sealer.seal_all()
    record(log, dice, streams, 2)
    return made


@pytest.fixture
def streams(sealing: Sealing) -> list[UUID]:
    with psycopg.connect(sealing.url) as owner:
        found = owner.execute("select distinct stream_id from log.events order by 1").fetchall()
        row = owner.execute("select count(*) from log.events").fetchone()
    assert row is not None
    assert row[0] > 2 * TILE
    return [id_ for (id_,) in found]


@pytest.fixture
def packed(sealing: Sealing, streams: list[UUID], tmp_path: Path) -> Path:
    place = tmp_path / "pack.zip"
    pack(sealing.url, sealing.folder, streams, place)
    return place


def test_a_pack_is_judged_without_a_database(sealing: Sealing, streams: list[UUID], packed: Path) -> None:
    """SYS-04, ES-06: every event is proved, wherever in the tree it stands; the first key suffices."""
    first = sealing.folder.read(1)
    assert first is not None
    report = verify_pack(packed, first.seal.key)
    newest = sealing.folder.read(sealing.folder.newest())
    assert newest is not None
    assert newest.seal.key != first.seal.key
    assert (report.faults, report.notes) == ([], [])
    assert (report.streams, report.sealed) == (len(streams), newest.seal.size)
    assert report.sealed < report.events
    with zipfile.ZipFile(packed) as archive:
        page = archive.read(TIMELINE).decode()
    assert page.count("<tr>") == report.events + 1
    assert [fault for _, fault in verify_pack(packed, bytes(32)).faults] == [
        "seal 1 is not signed by the key that was due"
    ]
    assert "believed" in verify_pack(packed).notes[0]


def rewritten(packed: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    other = packed.with_name("other.zip")
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(other, "w") as new:
        for each in old.namelist():
            content = old.read(each)
            new.writestr(each, change(content) if each == name else content)
    return other


def lines(packed: Path) -> Iterator[dict[str, Any]]:
    with zipfile.ZipFile(packed) as archive:
        yield from map(json.loads, archive.read(EVENTS).splitlines())


@pytest.mark.parametrize(
    ("field", "value"),
    [("actor", "nobody"), ("data", "{}"), ("recorded_at", "1"), ("position", "0" * 23 + "1"), ("reason", "x"),
     ("hash", "0" * 64), ("previous_hash", "1" * 64), ("index", 0), ("version", "7"), ("personal", "00")],
)  # fmt: skip
def test_an_event_that_was_changed_is_found(packed: Path, field: str, value: object) -> None:
    chosen = Random(field).randrange(1, 200)

    def change(content: bytes) -> bytes:
        told = content.splitlines()
        event = json.loads(told[chosen])
        assert event[field] != value
        told[chosen] = json.dumps({**event, field: value}).encode()
        return b"\n".join(told) + b"\n"

    assert verify_pack(rewritten(packed, EVENTS, change)).faults


def test_an_event_that_was_left_out_or_put_in_is_found(packed: Path) -> None:
    def without(content: bytes) -> bytes:
        told = content.splitlines(keepends=True)
        return b"".join(told[:20] + told[21:])

    def twice(content: bytes) -> bytes:
        told = content.splitlines(keepends=True)
        return b"".join(told[:20] + told[19:])

    for change in (without, twice):
        assert verify_pack(rewritten(packed, EVENTS, change)).faults


def test_a_chain_that_was_recomputed_does_not_lead_to_the_seal(
    sealing: Sealing, streams: list[UUID], packed: Path, tmp_path: Path
) -> None:
    """Somebody with all rights over the database changes it, and packs."""
    del packed
    with psycopg.connect(sealing.url) as owner:
        TAMPERS["chain recomputed"](owner, Random(1), streams[0], 1)
    with pytest.raises(SealsDiffer, match="audit verify"):
        pack(sealing.url, sealing.folder, streams, tmp_path / "forged.zip")
    assert not (tmp_path / "forged.zip").exists()


@pytest.mark.parametrize("damage", ["empty", "cut", "no events", "no seals", "no json", "no zip", "nested"])
def test_a_damaged_pack_is_a_clear_error(packed: Path, damage: str) -> None:
    content = packed.read_bytes()
    match damage:
        case "empty":
            packed.write_bytes(b"")
        case "cut":
            packed.write_bytes(content[: len(content) // 2])
        case "no zip":
            packed.write_bytes(b"%PDF" + content[4:100])
        case "no events":
            packed = rewritten(packed, EVENTS, lambda _: b"")
        case "no seals":
            packed = rewritten(packed, SEALS, lambda _: b"{}")
        case "no json":
            packed = rewritten(packed, EVENTS, lambda told: told.replace(b"{", b"(", 3))
        case "nested":
            packed = rewritten(packed, SEALS, lambda _: b"[" * 100_000)
    with pytest.raises(PackInvalid, match="no pack, or a damaged one"):
        verify_pack(packed)


def test_there_must_be_something_to_pack(sealing: Sealing, tmp_path: Path) -> None:
    with pytest.raises(NothingToPack):
        pack(sealing.url, sealing.folder, [UUID(int=1)], tmp_path / "pack.zip")
    assert list(tmp_path.glob("*.zip")) == []
