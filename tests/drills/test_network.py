"""Connections to the database that break, crawl or fall silent under load."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.drills.installation import Installation, installed
from tests.drills.network import Network
from tests.drills.nursery import Nursery
from tests.drills.product import until
from tests.drills.site import Site
from tests.repeats import IS_FULL

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1_800 if IS_FULL else 900)]
TORN_SHARE = 0.01
DELAY_S = 0.03
SILENT_S = 20.0 if IS_FULL else 1.5
SILENCES = 10 if IS_FULL else 1
COMMANDS = 2_000 if IS_FULL else 24
ANSWER_S = 6.0


@dataclass
class Connected:
    at: Installation
    network: Network


@pytest.fixture(scope="module")
def connected(site: Site, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    url = site.database()
    given = conninfo_to_dict(url)
    with tempfile.TemporaryDirectory() as folder:
        network = Network(Path(folder), Path(str(given["host"])) / f".s.PGSQL.{given.get('port', 5432)}")
        way = f"postgresql://postgres@/{given['dbname']}?host={quote(folder, safe='')}&port=5432"
        home = tmp_path_factory.mktemp("network") / "home"
        try:
            with installed(site, nursery, home, url=url, way=way, answer_s=ANSWER_S) as at:
                yield Connected(at, network)
        finally:
            network.close()


def tear(connected: Connected) -> None:
    """Messages arrive in part, and the connection is gone: also those of commits, either way."""
    connected.network.torn_share = TORN_SHARE
    until(connected.at.load.grown(COMMANDS), "the load goes on")
    connected.network.torn_share = 0.0
    assert connected.network.torn


def delay(connected: Connected) -> None:
    connected.network.delay_s = DELAY_S
    until(connected.at.load.grown(COMMANDS // 4), "the load goes on")
    connected.network.delay_s = 0.0


def silence(connected: Connected) -> None:
    """Half of the connections fall silent, those of who leads among them, until somebody ends them."""
    for _ in range(SILENCES):
        connected.network.silence(0.5)
        time.sleep(SILENT_S)
        connected.network.tear_silent()
        until(connected.at.load.grown(10), "the load goes on")
    assert connected.network.swallowed > 10 * SILENCES


@pytest.mark.parametrize("fault", [tear, delay, silence], ids=lambda fault: fault.__name__)
def test_what_the_network_does_to_connections_loses_and_doubles_nothing(
    fault: Callable[[Connected], None], connected: Connected
) -> None:
    """NFR-08, NFR-09: an answer that got lost is given again, a task is done once, a lead is taken over."""
    at = connected.at
    with at.load.under_way():
        fault(connected)
    at.product.await_ready()
    at.judge.judge(with_rebuild=IS_FULL or fault is silence)
    at.judge.ask_again(20)
