"""Erasures from end to end: two people, one worker, and nothing left; killed anywhere, it is finished."""

import multiprocessing
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from application import users
from domain import users as u
from domain.erasures import ErasureRefusal, PersonKind, Status
from domain.users import UserRefusal
from infrastructure import personal_parts
from infrastructure.access_store import AccessStore
from infrastructure.erasure_replay import replay
from infrastructure.log_verification import verify
from infrastructure.master_keys import MasterKeyring
from infrastructure.person_keys import PersonKeys
from infrastructure.projection_rebuild import rebuild
from infrastructure.projection_runner import Projector
from infrastructure.result_sets import ResultSets
from infrastructure.seal_folder import SealFolder
from tests.given import refused
from tests.infrastructure.erasing_world import ADMIN, BY_CARD, GIVEN, World, customers, killed_at, opened
from tests.infrastructure.test_task_worker import eventually
from tests.repeats import repeats


@pytest.fixture
def world(cardinal_url: str, tmp_path: Path, persons: PersonKeys) -> Iterator[World]:
    with opened(cardinal_url, tmp_path / "home", persons) as found:
        yield found


def test_an_erased_customer_is_in_no_warehouse_and_no_result_and_comes_in_no_more(world: World) -> None:
    """SEC-02"""
    run = world.begin()
    by_card = world.run(BY_CARD, "card_token holder")
    (number, names), (other, others) = customers(world, 2)
    assert len(names) >= 2, "a card and a mobile"
    assert world.found(number, *names) == {number, *names}
    before = len(list(world.engine.rows(run, ["customer_id"])))
    erasure = world.allowed(number)
    assert world.desk.erase(erasure) is None
    assert world.state(erasure).status is Status.COMPLETED
    assert world.state(erasure).person == ""
    assert world.found(number, *names) == set()
    assert world.found(other, *others) == {other, *others}
    left = [id_ for (id_,) in world.engine.rows(run, ["customer_id"])]
    assert len(left) == before - 1
    assert left == sorted(left)
    assert len(list(world.engine.rows(by_card, ["holder"]))) > 0
    (world.home / "warehouse" / "bank").unlink()
    world.begin()
    assert world.found(number, other) == {other}
    with refused(ErasureRefusal.ERASURE_UNDER_WAY):
        world.asked(number)


def test_nobody_is_erased_while_his_points_are_on_their_way(world: World, cardinal_url: str) -> None:
    world.begin()
    ((number, _),) = customers(world, 1)
    erasure = world.allowed(number)
    with psycopg.connect(cardinal_url, autocommit=True) as connection:
        connection.execute(
            "insert into points.under_way (job_id, line, customer, points) values (%s, 1, %s, 5)",
            [erasure, number],
        )
        assert world.desk.erase(erasure) is not None
        assert world.state(erasure).status is Status.APPROVED
        assert world.found(number) == {number}
        connection.execute("delete from points.under_way")
    assert world.desk.erase(erasure) is None
    assert world.found(number) == set()


def test_a_run_that_began_before_gives_no_result_with_the_erased(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEC-02: it read the warehouse that counted then."""
    world.begin()
    ((number, _),) = customers(world, 1)
    read = world.warehouse.snapshot()
    assert read is not None
    inner, has_read, may_publish = ResultSets.publish, threading.Event(), threading.Event()

    def publish(results: ResultSets, *given: Any) -> None:
        has_read.set()
        assert may_publish.wait(30)
        inner(results, *given)

    monkeypatch.setattr(ResultSets, "publish", publish)
    run = threading.Thread(target=world.run, args=(GIVEN, "customer_id *mobile birth_year"))
    run.start()
    assert has_read.wait(30)
    erasing = threading.Thread(target=world.desk.erase, args=(world.allowed(number),))
    erasing.start()
    eventually(lambda: not read.folder.exists())
    erasing.join(0.5)
    may_publish.set()
    run.join()
    erasing.join()
    assert world.found(number) == set()


def test_an_erased_users_name_is_in_no_table_and_proofs_hold(
    world: World, cardinal_url: str, tmp_path: Path
) -> None:
    """SEC-02, SEC-05: the log stays as it was; a rebuild tells the same"""
    profile = u.Profile("欧阳娜娜", "HO", ("operator",))
    bank = world.bank
    id_ = bank.send(ADMIN, "createUser", {}, users.create, "ouyang", profile).subject
    bank.send(ADMIN, "reviseUser", {}, users.revise, id_, u.Profile("欧阳一", "HO", ("auditor",)))
    AccessStore(bank.log.log_recorder.pool).set_password("ouyang", "$argon2id$x", False, datetime.now(UTC))
    with refused(ErasureRefusal.USER_NOT_DISABLED):
        world.asked("ouyang", PersonKind.USER)
    bank.send(ADMIN, "disableUser", {}, users.disable, id_, "left")
    with projecting(cardinal_url):
        eventually(lambda: "欧阳" in dump(cardinal_url))
        erasure = world.allowed("ouyang", PersonKind.USER)
        world.desk.erase(erasure)
        eventually(lambda: "completed" in dump(cardinal_url, "read.erasures"))
        eventually(lambda: "erased" in dump(cardinal_url, "read.timeline"))
        assert "欧阳" not in dump(cardinal_url)
        assert "argon2id" not in dump(cardinal_url, "access.passwords")
    for name in ("users", "erasures", "timeline"):
        assert rebuild(cardinal_url, name, lambda _: None).is_equal
    with refused(UserRefusal.USER_ERASED):
        bank.send(ADMIN, "enableUser", {}, users.enable, id_)
    assert verify(cardinal_url, lambda _: None, SealFolder(tmp_path)).faults == []


@contextmanager
def projecting(url: str) -> Iterator[None]:
    """The projector runs in the block."""
    stop = threading.Event()
    thread = threading.Thread(target=Projector(url).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def dump(url: str, *tables: str) -> str:
    """Every row of every table of ours as text, or of some."""
    with psycopg.connect(url) as connection:
        found = tables or [
            f"{schema}.{name}"
            for schema, name in connection.execute(
                "select schemaname, tablename from pg_tables"
                " where schemaname not in ('pg_catalog', 'information_schema')"
            ).fetchall()
        ]
        return "\n".join(
            str(connection.execute(f"select t::text from {table} t".encode()).fetchall()) for table in found
        )


# --- Killed -----------------------------------------------------------------


def _in_process(work: Callable[[World], Any], url: str, home: Path, keys: PersonKeys) -> int:
    """Its exit code; nothing of DuckDB or of connections is in this process, so it can be forked."""

    def working() -> None:
        with opened(url, home, keys) as world:
            work(world)

    process = multiprocessing.get_context("fork").Process(target=working)
    process.start()
    process.join(120)
    process.kill()
    return process.exitcode if process.exitcode is not None else 1


def _begin(told: "multiprocessing.SimpleQueue[Any]", world: World) -> None:
    run = world.begin()
    few = customers(world, 6 * repeats(6))
    told.put([(run, number, names, world.allowed(number)) for number, names in few])


def _erase(erasure: UUID, step: int, world: World) -> None:
    killed_at(step)()
    world.desk.erase(erasure)


def _finish(run: UUID, number: str, names: tuple[str, ...], erasure: UUID, world: World) -> None:
    assert world.desk.erase(erasure) is None
    assert world.state(erasure).status is Status.COMPLETED
    assert world.found(number, *names) == set()
    assert world.results.require(run).rows == len(list(world.engine.rows(run, ["customer_id"])))


@pytest.mark.drill
def test_an_erasure_killed_anywhere_is_finished_by_the_next_worker(
    cardinal_url: str, tmp_path: Path, persons: PersonKeys
) -> None:
    """SEC-02: kill -9 at every step"""
    home, told = tmp_path / "home", multiprocessing.get_context("fork").SimpleQueue()
    persons.status()
    assert _in_process(partial(_begin, told), cardinal_url, home, persons) == 0
    kills = 0
    steps = range(0, 1_000, 6 // repeats(6))
    for step, (run, number, names, erasure) in zip(steps, told.get(), strict=False):
        code = _in_process(partial(_erase, erasure, step), cardinal_url, home, persons)
        kills += code == -9
        if code == 0:
            break
        assert _in_process(partial(_finish, run, number, names, erasure), cardinal_url, home, persons) == 0
    else:
        pytest.fail("there were more steps than customers")
    assert kills >= 5


# --- Restored ---------------------------------------------------------------


def test_after_a_restore_of_anything_the_erased_are_erased_again(
    make_database: Callable[..., str],
    migrated_template: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SEC-05: erasures replayed, whether the database, the keys or the warehouse came back"""
    home, backup = tmp_path / "home", tmp_path / "backup"
    keys = PersonKeys(home / "keys", lambda begins: MasterKeyring(home / "master", may_begin=begins))
    monkeypatch.setattr(personal_parts, "_keys", keys)
    url = make_database(migrated_template)
    with opened(url, home, keys) as world:
        world.begin()
        ((number, names),) = customers(world, 1)
        profile = u.Profile("欧阳娜娜", "HO", ("operator",))
        id_ = world.bank.send(ADMIN, "createUser", {}, users.create, "ouyang", profile).subject
        world.bank.send(ADMIN, "disableUser", {}, users.disable, id_, "left")
        asked = [world.allowed(number), world.allowed("ouyang", PersonKind.USER)]
        with projecting(url):
            eventually(lambda: "欧阳" in dump(url, "read.users", "read.timeline"))
    shutil.copytree(home, backup, symlinks=True)
    restored = make_database(url.rsplit("/", 1)[1].split("?")[0])
    with opened(url, home, keys) as world:
        for erasure in asked:
            world.desk.erase(erasure)
        for folder in ("keys", "warehouse", "results"):  # the keys and the files come back, the log goes on
            shutil.rmtree(home / folder)
            shutil.copytree(backup / folder, home / folder, symlinks=True)
        assert world.found(number) == {number}
        assert replay(url, keys, world.traces).persons == 2
        assert world.found(number, *names) == set()
    with opened(restored, home, keys) as world:  # the database comes back, the keys go on
        assert "欧阳" in dump(restored)
        assert replay(restored, keys, world.traces).persons == 2
        assert "欧阳" not in dump(restored)
        assert world.state(asked[0]).status is Status.APPROVED
        world.desk.erase(asked[0])
        assert world.state(asked[0]).status is Status.COMPLETED
