"""Bulk append: the same log as one by one, faster, in chunks that can be sent again."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from application.shared.records import BEGINNING, Conflict, Context, Write
from domain.catalogues import Details, EntryAdded
from domain.shared.claims import DECIDER
from infrastructure import bulk_append
from infrastructure.event_log import EventLog
from infrastructure.log_verification import verify
from tests.infrastructure.log_writing import append, context, next_write, write


def streams(count: int) -> list[UUID]:
    return sorted(uuid4() for _ in range(count))


def test_bulk_and_single_appends_make_one_chain(
    log: EventLog, cardinal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_append, "CHUNK_EVENTS_MAX", 50)
    ids = streams(120)
    log.append_bulk([write(id_, events=2) for id_ in ids], context())
    log.append(append(next_write(log, ids[0])))
    last = log.append_bulk([next_write(log, id_, 3) for id_ in ids], context())
    assert log.follow(BEGINNING, 10_000)[-1].position == last
    assert [log.load(DECIDER, id_).version for id_ in ids] == [6] + [5] * 119
    report = verify(cardinal_url)
    assert (report.events, report.faults) == (601, [])


def test_text_survives_the_bulk_format(log: EventLog) -> None:
    nasty = "tab\tnew\nline \\ back\\N \\. 'quote' \"double\" 中文 é 🎉 \r"
    event = EntryAdded("X", Details(nasty, nasty), None)
    stream = uuid4()
    about = replace(context(), actor="a\tb\\", reason=nasty)
    log.append_bulk([Write(stream, "cost_type", 0, bytes(32), [event])], about)
    [record] = log.records(stream)
    assert record.event == event
    assert record.context == about


def test_a_stream_that_moved_stops_its_chunk_and_leaves_nothing_of_it(log: EventLog) -> None:
    ids = streams(5)
    log.append(append(write(ids[3])))
    with pytest.raises(Conflict):
        log.append_bulk([write(id_) for id_ in ids], context())
    assert [log.load(DECIDER, id_).version for id_ in ids] == [0, 0, 0, 1, 0]


def test_a_bulk_sent_again_under_its_command_passes_over_what_is_there(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was cut off after two of its chunks."""
    monkeypatch.setattr(bulk_append, "CHUNK_EVENTS_MAX", 10)
    writes, about = [write(id_) for id_ in streams(35)], context()
    log.append_bulk(writes[:20], about)
    log.append_bulk(writes, about)
    log.append_bulk(writes, about)
    assert len(log.follow(BEGINNING, 1_000)) == 35
    with pytest.raises(Conflict):
        log.append_bulk(writes, replace(about, command_id=uuid4()))


def test_bulks_and_appends_on_the_same_streams_never_both_win(log: EventLog, cardinal_url: str) -> None:
    """Eight rounds of four bulks and four single appends that all saw the same versions."""
    ids = streams(60)

    def bulk(seen: list[Write]) -> int:
        about: Context = context()
        try:
            log.append_bulk(seen, about)
        except Conflict:
            return 0
        return 1

    def single(seen: Write) -> int:
        try:
            log.append(append(seen))
        except Conflict:
            return 0
        return 1

    with ThreadPoolExecutor(8) as threads:
        for _ in range(8):
            seen = [next_write(log, id_) for id_ in ids]
            before = sum(each.version for each in seen)
            bulks = [threads.submit(bulk, seen) for _ in range(4)]
            singles = [threads.submit(single, seen[number * 7]) for number in range(4)]
            won = sum(b.result() for b in bulks)
            alone = sum(s.result() for s in singles)
            assert (won, alone) in {(1, 0), *((0, n) for n in range(5))}
            assert sum(log.load(DECIDER, id_).version for id_ in ids) == before + 60 * won + alone
    assert not verify(cardinal_url).faults
