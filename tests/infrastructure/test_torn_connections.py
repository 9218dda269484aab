"""A connection lost in COMMIT: the answer is unknown, and yet every command takes effect exactly once."""

import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from application.access import Principal, Role
from application.catalogues import add
from application.shared.handler import Handler, Request
from domain.catalogues import Details, Kind
from infrastructure.database import connect, pool
from infrastructure.event_log import EventLog
from infrastructure.log_verification import verify
from tests.infrastructure.log_writing import append, write
from tests.infrastructure.torn_connections import Cut, TornConnections

COMMANDS = 400


@pytest.fixture
def torn(cardinal_url: str):
    given = conninfo_to_dict(cardinal_url)
    with tempfile.TemporaryDirectory() as directory:
        server = Path(str(given["host"])) / f".s.PGSQL.{given.get('port', 5432)}"
        proxy = TornConnections(Path(directory), server, b'{"command":', seed=11, share=0.5)
        url = make_conninfo(cardinal_url, host=directory, port=5432)
        with pool(url, 8) as connections:
            yield proxy, EventLog(connections)
        proxy.close()


def test_an_append_that_lost_its_connection_takes_effect_once(torn, cardinal_url: str) -> None:
    proxy, log = torn
    streams = [uuid4() for _ in range(COMMANDS)]
    with ThreadPoolExecutor(8) as threads:
        receipts = list(threads.map(lambda stream: log.append(append(write(stream))), streams))
    assert len(proxy.cuts) > COMMANDS / 4
    assert set(proxy.cuts) == set(Cut) - {Cut.NEVER}
    with connect(cardinal_url) as connection:
        rows = connection.execute("select stream_id, version, epoch, position from log.events").fetchall()
        answers = connection.execute("select count(*) from log.commands").fetchone()
    assert answers == (COMMANDS,)
    assert sorted(rows) == sorted((r.subject, r.version, *r.position) for r in receipts)
    assert not verify(cardinal_url).faults


def test_a_command_under_a_clients_key_takes_effect_once_however_often_it_is_sent(
    torn, cardinal_url: str
) -> None:
    """Each of 60 commands is sent by four threads at once, over connections that keep breaking."""
    _, log = torn
    operator = Principal("lin", frozenset({Role.OPERATOR}), "HO", frozenset({"HO"}))
    handler = Handler(log)

    def send(number: int):
        details = Details(f"Fee {number}", attributes={"accounting_subject": "6601", "unit": "CNY"})
        request = Request(operator, "addCostType", {"code": f"FEE-{number}"}, key=f"fee-{number}")
        return handler(request, lambda work: add(work, Kind.COST_TYPE, f"FEE-{number}", details, None))

    with ThreadPoolExecutor(8) as threads:
        receipts = list(threads.map(send, [number for number in range(60) for _ in range(4)]))
    assert len(set(receipts)) == 60
    with psycopg.connect(cardinal_url) as connection:
        rows = connection.execute("select data->>'code' from log.events where event_type = 'entry.added'")
        assert Counter(code for (code,) in rows) == Counter(f"FEE-{n}" for n in range(60))
