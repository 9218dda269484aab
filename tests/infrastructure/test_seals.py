"""What is sealed and published proves the log: whatever the database's owner changes is found, and named."""

import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from uuid import UUID

import psycopg
import pytest

from application.shared.records import Position
from infrastructure.database import pool
from infrastructure.event_log import EventLog
from infrastructure.log_faults import Fault
from infrastructure.log_sealer import Sealer
from infrastructure.log_verification import verify, verify_on
from infrastructure.migrate import open_epoch
from infrastructure.seal_folder import SealFolder, SealsDiffer, SealsUnreachable
from infrastructure.seal_keys import SealKeys, SealKeysUnavailable
from infrastructure.seals import Sealed
from tests.infrastructure.log_writing import append, write
from tests.infrastructure.seal_world import TAMPERS, Sealing, record

TAMPERINGS = 1_000


@pytest.fixture
def sealing(log: EventLog, cardinal_url: str, tmp_path: Path) -> Sealing:
    """Some 300 events in three seals, and a few that are not sealed."""
    made, dice, streams = Sealing(cardinal_url, tmp_path), Random(5), list[UUID]()
    for appends in (40, 70, 60):
        record(log, dice, streams, appends)
        made.sealer.seal_all()
    record(log, dice, streams, 3)
    return made


def faults(sealing: Sealing, trusted: bytes | None = None) -> list[Fault]:
    return verify(sealing.url, publication=sealing.folder, trusted=trusted).faults


def newest(sealing: Sealing) -> Sealed:
    found = sealing.folder.read(sealing.folder.newest())
    assert found is not None
    return found


def test_a_log_as_it_was_sealed_has_no_fault(sealing: Sealing) -> None:
    first = sealing.folder.read(1)
    assert first is not None
    report = verify(sealing.url, publication=sealing.folder, trusted=first.seal.key)
    assert (report.faults, report.notes) == ([], [])
    assert 0 < newest(sealing).seal.size == report.sealed < report.events


def test_a_thousand_tamperings_are_found_and_the_first_bad_position_named(sealing: Sealing) -> None:
    """SYS-04: by somebody with all rights over the database, before the last published seal."""
    dice = Random(11)
    with psycopg.connect(sealing.url) as owner:
        sealed = owner.execute(
            "select stream_id, version, epoch, position from log.events"
            " where (epoch, position) <= (%s, %s) order by 3, 4",
            newest(sealing).seal.position,
        ).fetchall()
        owner.commit()
        for number in range(TAMPERINGS):
            name = list(TAMPERS)[number % len(TAMPERS)]
            stream, version, *place = dice.choice(sealed)
            owner.execute("drop index log.events_position")
            TAMPERS[name](owner, dice, stream, version)
            found = verify_on(owner, publication=sealing.folder).faults
            positions = {Position(e, p) for e, p in owner.execute("select epoch, position from log.events")}
            owner.rollback()
            gone = sorted(Position(e, p) for _, _, e, p in sealed if Position(e, p) not in positions)
            wrong = gone[0] if gone else Position(place[0], place[1] + (name == "insert"))
            assert found, (name, stream, version)
            assert found[0].position == str(wrong), (name, number, found[:3])


def test_without_marks_the_stretch_is_named(sealing: Sealing) -> None:
    seals = [sealing.folder.read(number) for number in (1, 2)]
    assert seals[0] is not None
    assert seals[1] is not None
    for marks in sealing.home.rglob("*.marks"):
        marks.unlink()
    with psycopg.connect(sealing.url) as owner:
        row = owner.execute(
            "select stream_id, version from log.events where (epoch, position) > (%s, %s)"
            " order by epoch, position offset 30 limit 1",
            seals[0].seal.position,
        ).fetchone()
        assert row is not None
        TAMPERS["chain recomputed"](owner, Random(1), *row)
    first = faults(sealing)[0]
    assert (
        first.problem
        == f"after {seals[0].seal.position}, up to {seals[1].seal.position}: not what seal 2 saw"
    )


def test_what_is_published_is_believed_not_what_the_database_holds(sealing: Sealing) -> None:
    with psycopg.connect(sealing.url) as owner:
        owner.execute("delete from log.seals where number = 3")
    assert [fault.problem for fault in faults(sealing)] == [
        "the database does not know seal 3, which is published"
    ]
    with psycopg.connect(sealing.url) as owner:
        owner.execute("update log.seals set statement = replace(statement, '1', '2') where number = 2")
    assert "the database holds another seal 2" in {fault.problem for fault in faults(sealing)}


def test_a_published_seal_that_is_changed_forged_or_away_is_found(sealing: Sealing, tmp_path: Path) -> None:
    place = next(sealing.home.rglob("0000000002.json"))
    content = place.read_bytes()
    for changed in (
        content.replace(b'"size', b'"sizz'),
        content.replace(b"nature", b"nurture"),
        b"",
        b"[" * 5_000,
    ):
        place.write_bytes(changed)
        assert faults(sealing)
    forger = SealKeys(tmp_path / "forger")
    second = Sealed.of_content(content).seal
    stranger = forger.all()[0]
    place.write_bytes(Sealed.sign(second, stranger).content())
    assert "not signed" in faults(sealing)[0].problem
    place.unlink()
    assert "seal 2 is not where it was published" in {fault.problem for fault in faults(sealing)}
    place.write_bytes(content)
    assert faults(sealing) == []


def test_only_the_auditors_key_begins_the_chain(sealing: Sealing) -> None:
    first = sealing.folder.read(1)
    assert first is not None
    assert faults(sealing, first.seal.key) == []
    [fault, *_] = faults(sealing, bytes(32))
    assert fault.problem == "seal 1 is not signed by the key that was given"


def test_the_seals_of_another_log_are_no_proof_of_this_one(
    sealing: Sealing, make_database: Callable[..., str], migrated_template: str
) -> None:
    other = make_database(migrated_template)
    with psycopg.connect(other) as owner:
        owner.execute("update log.identity set log_id = gen_random_uuid()")
    with pool(other, 2) as connections:
        EventLog(connections).append(append(write(UUID(int=7))))
    problem = verify(other, publication=sealing.folder).faults[0].problem
    assert problem.startswith("seal 1 is one of another log")
    with pytest.raises(SealsDiffer):
        Sealer(other, sealing.keys, sealing.folder, 1).seal_all()


def test_a_changed_history_is_not_sealed_on(sealing: Sealing) -> None:
    """The tile that is not whole is read again; so is what the last seal saw, when its publishing failed."""
    with psycopg.connect(sealing.url) as owner:
        row = owner.execute(
            "select stream_id, version from log.events where (epoch, position) <= (%s, %s)"
            " order by epoch desc, position desc limit 1",
            newest(sealing).seal.position,
        ).fetchone()
        assert row is not None
        TAMPERS["chain recomputed"](owner, Random(1), *row)
    with pytest.raises(SealsDiffer, match="has been changed"):
        sealing.sealer.seal_all()


def test_a_key_is_announced_by_the_one_before(sealing: Sealing, log: EventLog) -> None:
    """SEC-02: rotation"""
    old, fresh = newest(sealing).seal.key, sealing.keys.rotate()
    dice, streams = Random(9), list[UUID]()
    for expected in ((old, fresh), (fresh, None), (fresh, None)):
        record(log, dice, streams, 4)
        [seal] = sealing.sealer.seal_all()
        assert (seal.key, seal.next_key) == expected
    assert faults(sealing) == []


def test_the_key_that_has_to_sign_must_be_there(sealing: Sealing, log: EventLog) -> None:
    record(log, Random(1), [], 1)
    sealer = Sealer(sealing.url, SealKeys(sealing.home / "others"), sealing.folder, 1)
    with pytest.raises(SealKeysUnavailable, match="has to sign"):
        sealer.seal_all()
    key = next((sealing.home / "keys").glob("*.pem"))
    key.chmod(0o644)
    with pytest.raises(SealKeysUnavailable, match="chmod 600"):
        sealing.sealer.seal_all()


def test_a_seal_that_was_only_committed_is_published_by_the_next_leader(
    sealing: Sealing, log: EventLog
) -> None:
    class Away(SealFolder):
        def publish(self, *_: object) -> None:
            raise SealsUnreachable("away")

    record(log, Random(1), [], 5)
    with pytest.raises(SealsUnreachable):
        Sealer(sealing.url, sealing.keys, Away(sealing.home / "seals"), 1).seal_all()
    assert sealing.folder.newest() == 3
    assert sealing.sealer.seal_all() == []
    assert sealing.folder.newest() == 4
    assert faults(sealing) == []


def test_another_seal_of_that_number_stops_the_sealer(sealing: Sealing, log: EventLog) -> None:
    """Two databases, one of them a copy, can't both seal as the same log."""

    class Late(SealFolder):
        def newest(self) -> int:
            return 3

        def publish(self, *_: object) -> None:
            raise SealsUnreachable("late")

    record(log, Random(1), [], 5)
    sealing.sealer.seal_all()
    with psycopg.connect(sealing.url) as owner:  # as a copy of before would be
        owner.execute("delete from log.seals where number = 4")
        owner.execute("delete from log.seal_tiles where number >= (select max(size) / 256 from log.seals)")
    with pytest.raises(SealsUnreachable):
        Sealer(sealing.url, sealing.keys, Late(sealing.home / "seals"), 1).seal_all()
    with pytest.raises(SealsDiffer, match="another seal 4"):
        sealing.sealer.seal_all()


def test_after_a_restore_the_seals_go_on_and_say_so(sealing: Sealing, log: EventLog) -> None:
    """The published seals show where the restored log stands; nothing is sealed until that is said."""
    before = newest(sealing).seal
    with psycopg.connect(sealing.url) as owner:
        row = owner.execute(
            "select stream_id, version from log.events where (epoch, position) <= (%s, %s)"
            " order by epoch desc, position desc offset 20 limit 1",
            before.position,
        ).fetchone()
        assert row is not None
        TAMPERS["snapshot rolled back"](owner, Random(1), *row)
    with pytest.raises(SealsDiffer, match="--restored"):
        sealing.sealer.seal_all()
    assert open_epoch(sealing.url) == 2
    record(log, Random(4), [], 6)
    [seal] = sealing.sealer.seal_all()
    assert (seal.number, seal.continues) == (before.number + 1, 2)
    record(log, Random(6), [], 6)
    assert [each.continues for each in sealing.sealer.seal_all()] == [seal.number]
    report = verify(sealing.url, publication=sealing.folder)
    assert report.faults == []
    assert any("goes on from seal 2 after a restore" in note for note in report.notes)


def test_one_seals_while_others_append_and_others_wait_to_lead(
    log: EventLog, cardinal_url: str, tmp_path: Path
) -> None:
    sealing, stop, dice = Sealing(cardinal_url, tmp_path), threading.Event(), Random(2)
    sealers = [threading.Thread(target=sealing.sealer.run, args=(stop,)) for _ in range(2)]
    for thread in sealers:
        thread.start()
    writers = [
        threading.Thread(target=record, args=(log, Random(seed), list[UUID](), 60)) for seed in range(4)
    ]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    record(log, dice, [], 1)
    stop.wait(0.3)
    stop.set()
    for thread in sealers:
        thread.join()
    sealing.sealer.seal_all()
    report = verify(cardinal_url, publication=sealing.folder)
    assert report.faults == []
    assert report.sealed == report.events > 400
    assert sealing.folder.newest() > 2
