"""Faults under load, each judged: nothing that was acknowledged is lost or doubled, and everybody goes on."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial

import httpx
import psycopg
import pytest

from tests.drills.installation import Installation, installed
from tests.drills.nursery import Nursery
from tests.drills.product import until
from tests.drills.site import Site
from tests.infrastructure.postgres_holders import kill_everything
from tests.repeats import IS_FULL

pytestmark = [pytest.mark.drill, pytest.mark.timeout(7_200 if IS_FULL else 900)]
BETWEEN_MAX = 12
"""Commands that are acknowledged between two faults, at most."""
PAUSE_MAX_S = 0.1
HORIZON_MAX_S = 1


@dataclass(frozen=True)
class Fault:
    """What befalls an installation under load: so often in full, and so often in the suite."""

    name: str
    befall: Callable[[Installation, random.Random], None]
    full: int
    short: int

    @property
    def times(self) -> int:
        return self.full if IS_FULL else self.short


def kill(role: str, at: Installation, dice: random.Random) -> None:
    """One of the two; the other goes on, and another one comes."""
    victim = dice.choice(at.product.of(role))
    at.product.kill(victim)
    at.product.start(role, victim.place)


def kill_postgres(at: Installation, dice: random.Random) -> None:
    """All its processes at once; it recovers."""
    del dice
    kill_everything(at.site.server)
    at.site.server.start()


def hold_a_transaction_open(at: Installation, dice: random.Random) -> None:
    """Readers wait below it, the metric and /readyz tell, and commands go on."""
    del dice
    api = at.product.apis[0]
    with psycopg.connect(at.url) as connection:
        connection.execute("select pg_current_xact_id()")
        before = [len(each.told) for each in at.judge.subscribers]
        until(at.load.grown(3), "commands are acknowledged")
        until(lambda: held_s(api) > HORIZON_MAX_S, "the metric tells")
        time.sleep(30 if IS_FULL else 1)
        heard = [len(each.told) for each in at.judge.subscribers]
        answer = httpx.get(f"{api}/readyz", timeout=5)
        [horizon] = [part for part in answer.json()["parts"] if part["name"] == "horizon"]
        assert (answer.status_code, horizon["ready"]) == (503, False)
        connection.rollback()
    assert all(now - then < 20 for now, then in zip(heard, before, strict=True)), "they wait"
    until(lambda: held_s(api) < HORIZON_MAX_S, "it is over")


def held_s(api: str) -> float:
    """For how long readers have been held back, as the metric tells."""
    lines = httpx.get(f"{api}/metrics", timeout=5).text.splitlines()
    [line] = [line for line in lines if line.startswith("cardinal_log_horizon_age_seconds ")]
    return float(line.split(" ")[1])


def wipe_the_queue(at: Installation, dice: random.Random) -> None:
    """All tasks are gone, those of workers at work too: the watchdog drives what is owed again."""
    del dice
    with psycopg.connect(at.url) as connection:
        connection.execute("truncate tasks.message")


FAULTS = [
    *(
        Fault(f"{role} killed", partial(kill, role), 200, 5)
        for role in ("api", "projector", "worker", "scheduler")
    ),
    Fault("PostgreSQL killed", kill_postgres, 50, 3),
    Fault("a transaction held open", hold_a_transaction_open, 1, 1),
    Fault("the queue wiped", wipe_the_queue, 20, 2),
]


@pytest.fixture(scope="module")
def at(site: Site, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("installation") / "home"
    settings = {"CARDINAL_HORIZON_AGE_MAX_S": str(HORIZON_MAX_S)}
    with installed(site, nursery, home, settings=settings) as at:
        yield at


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_fault_under_load_loses_and_doubles_nothing(fault: Fault, at: Installation) -> None:
    """NFR-07, NFR-08, NFR-09, NFR-15, ES-05: two of everything at work, commands all the time."""
    dice = random.Random(fault.name)
    with at.load.under_way():
        for _ in range(fault.times):
            until(at.load.grown(dice.randint(0, BETWEEN_MAX)), "the load goes on")
            time.sleep(dice.uniform(0, PAUSE_MAX_S))
            fault.befall(at, dice)
        until(at.load.grown(10), "the load goes on")
    at.product.await_ready()
    at.judge.judge(with_rebuild=IS_FULL)
    at.judge.ask_again(20)


def test_after_all_faults_the_read_tables_equal_their_rebuild(at: Installation) -> None:
    """ES-05. The faults were felt: requests failed, and subscribers came back."""
    if not at.load.tallies.acknowledged:  # it is run alone
        test_a_fault_under_load_loses_and_doubles_nothing(FAULTS[0], at)
    at.judge.judge(with_rebuild=True)
    assert sum(at.load.tallies.faults.values()) > 0
    assert sum(each.breaks for each in at.judge.subscribers) > 0


@contextmanager
def lost(at: Installation) -> Iterator[None]:
    """A command was acknowledged that the log does not know."""
    done = at.load.tallies.acknowledged
    done.append(replace(done[0], command=replace(done[0].command, key="lost")))
    yield
    done.pop()


@contextmanager
def doubled(at: Installation) -> Iterator[None]:
    """The log knows a command that nobody has sent."""
    done = at.load.tallies.acknowledged.pop()
    yield
    at.load.tallies.acknowledged.append(done)


@contextmanager
def passed_over(at: Installation) -> Iterator[None]:
    """A subscriber was not told of an event."""
    told = at.judge.subscribers[0].told
    middle = len(told) // 2
    event = told.pop(middle)
    yield
    told.insert(middle, event)


@contextmanager
def told_twice(at: Installation) -> Iterator[None]:
    told = at.judge.subscribers[1].told
    told.append(told[-1])
    yield
    told.pop()


@contextmanager
def tampered(at: Installation) -> Iterator[None]:
    """One event is another than was recorded."""
    turn = "update log.events set actor = reverse(actor) where (stream_id, version) = (%s, 1)"
    with psycopg.connect(at.url, autocommit=True) as connection:
        connection.execute(turn, [at.load.world.stock])
        yield
        connection.execute(turn, [at.load.world.stock])


@contextmanager
def misread(at: Installation) -> Iterator[None]:
    """A read table says what the log does not."""
    with psycopg.connect(at.url, autocommit=True) as connection:
        connection.execute("update read.cost_types set name = 'another' where code like '%-%'")
    yield


@pytest.mark.parametrize("wrong", [lost, doubled, passed_over, told_twice, tampered, misread])
def test_the_judge_sees_what_is_wrong(
    wrong: Callable[[Installation], AbstractContextManager[None]], at: Installation
) -> None:
    """Else its verdicts would be worth nothing. When it is mended, he is content."""
    if not at.load.tallies.acknowledged:  # it is run alone
        test_a_fault_under_load_loses_and_doubles_nothing(FAULTS[0], at)
    with wrong(at), pytest.raises(AssertionError):
        at.judge.judge(with_rebuild=wrong is misread)
    at.judge.judge()
