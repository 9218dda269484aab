"""Keys of persons: wrapped, rotated, destroyed; wrong or missing master keys change nothing."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from application.shared.key_keepers import KeysUnavailable
from infrastructure import person_keys
from infrastructure.master_keys import MasterKeyring
from infrastructure.person_keys import PersonErased, PersonKeys
from tests.infrastructure import softhsm

ABOUT = b"about"


def of(home: Path) -> PersonKeys:
    return PersonKeys(home / "persons", lambda begins: MasterKeyring(home / "master", may_begin=begins))


@pytest.fixture
def keys(tmp_path: Path) -> PersonKeys:
    return of(tmp_path)


def test_what_is_enciphered_for_a_person_is_read_with_his_key_alone(keys: PersonKeys) -> None:
    """SEC-02"""
    lin, hu = keys.key_id("user", "lin"), keys.key_id("user", "hu")
    assert keys.key_id("user", "lin") == lin != hu != keys.key_id("customer", "hu")
    enciphered = keys.encipher(lin, "林".encode(), ABOUT)
    assert keys.decipher(lin, enciphered, ABOUT) == "林".encode()
    for other, about in ((hu, ABOUT), (lin, b"another event")):
        with pytest.raises(ValueError, match="was changed"):
            keys.decipher(other, enciphered, about)


def test_the_file_holds_no_name_and_no_key_in_clear_and_is_its_owners(
    keys: PersonKeys, tmp_path: Path
) -> None:
    """SEC-02"""
    keys.key_id("customer", "C00000001")
    file = tmp_path / "persons" / "persons.sqlite"
    assert b"C00000001" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "master" / "master-0001.key").stat().st_mode & 0o777 == 0o600


def test_who_is_erased_is_read_no_more_by_any_process_and_nothing_more_is_written(
    keys: PersonKeys, tmp_path: Path
) -> None:
    """SEC-02"""
    other = of(tmp_path)
    lin = keys.key_id("user", "lin")
    enciphered = keys.encipher(lin, b"clear", ABOUT)
    assert other.decipher(lin, enciphered, ABOUT) == b"clear"
    wrapped = sqlite3.connect(tmp_path / "persons" / "persons.sqlite").execute("select wrapped from persons")
    (before,) = wrapped.fetchone()
    for _ in range(2):
        keys.erase(lin, ())
    assert other.decipher(lin, enciphered, ABOUT) is None
    assert before not in (tmp_path / "persons" / "persons.sqlite").read_bytes(), "it was overwritten"
    with pytest.raises(PersonErased):
        other.encipher(lin, b"again", ABOUT)


def test_an_erased_customer_is_known_by_his_number_and_by_what_else_names_him(keys: PersonKeys) -> None:
    numbers = ["C1", "C2", "token-7", "C3"]
    assert list(keys.erased_customers(numbers)) == []
    keys.key_id("customer", "C2")
    keys.erase(keys.key_id("customer", "C1"), ["token-7"])
    keys.erase(keys.key_id("user", "C3"), [])
    assert list(keys.erased_customers(numbers)) == ["C1", "token-7"]


def test_after_a_rotation_all_is_wrapped_by_the_new_key_and_what_was_written_is_read(
    keys: PersonKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEC-02: rotate key → old data readable"""
    monkeypatch.setattr(person_keys, "REWRAPPED_AT_ONCE", 7)
    reader = of(tmp_path)
    persons = [keys.key_id("customer", f"C{number}") for number in range(23)]
    enciphered = keys.encipher(persons[7], b"clear", ABOUT)
    assert reader.decipher(persons[7], enciphered, ABOUT) == b"clear"
    keys.erase(persons[9], ())
    assert keys.rotate() == 22
    assert keys.status().by_master == {2: 22}
    assert (keys.status().erased, keys.status().newest) == (1, 2)
    (tmp_path / "master" / "master-0001.key").unlink()
    for each in (reader, of(tmp_path)):
        assert each.decipher(persons[7], enciphered, ABOUT) == b"clear"
        assert each.key_id("customer", "C7") == persons[7]


def _rotate_for_ever(home: Path) -> None:
    person_keys.REWRAPPED_AT_ONCE = 2
    keys = of(home)
    while True:
        keys.rotate()


def test_a_rotation_killed_at_any_point_loses_nobodys_key(keys: PersonKeys, tmp_path: Path) -> None:
    """SEC-02: two versions readable, no downtime"""
    persons = {keys.key_id("customer", f"C{number}"): b"%d" % number for number in range(20)}
    enciphered = {id_: keys.encipher(id_, clear, ABOUT) for id_, clear in persons.items()}
    for round_ in range(3):
        rotating = multiprocessing.get_context("fork").Process(target=_rotate_for_ever, args=[tmp_path])
        rotating.start()
        time.sleep(0.05 + 0.037 * round_)
        fresh = keys.key_id("customer", f"D{round_}")
        os.kill(rotating.pid or 0, signal.SIGKILL)
        rotating.join()
        assert all(keys.decipher(id_, enciphered[id_], ABOUT) == clear for id_, clear in persons.items())
        assert keys.encipher(fresh, b"", ABOUT)
    keys.rewrap()
    assert list(keys.status().by_master) == [keys.status().newest]


Spoiling = Callable[[Path], object]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda master: (master / "master-0001.key").unlink(), "No such file"),
        (lambda master: (master / "master-0001.key").write_bytes(bytes(32)), "is not the key that wrapped"),
        (lambda master: (master / "master-0001.key").write_bytes(b"short"), "is damaged"),
        (lambda master: (master / "master-0001.key").chmod(0o644), "can be read by others"),
    ],
)
def test_a_wrong_or_missing_master_key_is_told_and_changes_nothing(
    keys: PersonKeys, tmp_path: Path, spoil: Spoiling, told: str
) -> None:
    """SEC-02"""
    lin = keys.key_id("user", "lin")
    keys.encipher(lin, b"clear", ABOUT)
    spoil(tmp_path / "master")
    before = _bytes(tmp_path)
    for attempt in (
        lambda: of(tmp_path).key_id("user", "hu"),
        lambda: of(tmp_path).encipher(lin, b"clear", ABOUT),
        lambda: of(tmp_path).erase(lin, ()),
        lambda: of(tmp_path).rotate(),
    ):
        with pytest.raises(KeysUnavailable, match=told):
            attempt()
    assert _bytes(tmp_path) == before


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_key_of_another_house_is_told_from_one_that_was_destroyed(keys: PersonKeys) -> None:
    keys.key_id("user", "lin")
    with pytest.raises(KeysUnavailable, match="of another house, or older"):
        keys.decipher(uuid4(), b"", ABOUT)


def _begin(
    home: Path, ready: "multiprocessing.synchronize.Barrier", ids: "multiprocessing.Queue[UUID]"
) -> None:
    ready.wait()
    ids.put(of(home).key_id("user", "lin"))


def test_processes_that_begin_at_once_get_one_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for round_ in range(5):
        home = tmp_path / str(round_)
        ready, ids = context.Barrier(4), context.Queue()
        processes = [context.Process(target=_begin, args=[home, ready, ids]) for _ in range(4)]
        for process in processes:
            process.start()
        assert len({ids.get(timeout=30) for _ in processes}) == 1
        for process in processes:
            process.join()


HSM = """
import sys
from pathlib import Path
from infrastructure import person_keys
from infrastructure.person_keys import PersonKeys
from infrastructure.pkcs11_keys import Pkcs11Keys
module, home, pin, token = sys.argv[1:]
def of():
    return PersonKeys(Path(home), lambda begins: Pkcs11Keys(Path(module), token, pin, may_begin=begins))
keys = of()
lin = keys.key_id("user", "lin")
kept = keys.encipher(lin, b"clear", b"about")
assert keys.decipher(lin, kept, b"about") == b"clear"
assert keys.rotate() == 1 and list(keys.status().by_master.values()) == [1]
assert of().decipher(lin, kept, b"about") == b"clear"
"""


@pytest.mark.drill
def test_master_keys_in_a_security_module_wrap_rotate_and_refuse(tmp_path: Path) -> None:
    """SEC-02: PKCS#11, on SoftHSM; the keys never leave it"""
    softhsm.install()
    environment = softhsm.make_token(tmp_path, "cardinal")
    softhsm.make_token(tmp_path, "empty")

    def used(token: str, pin: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", HSM, str(softhsm.MODULE), str(tmp_path / "persons"), pin, token],
            env={**os.environ, **environment, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            check=False,
        )

    done = used("cardinal", softhsm.PIN)
    assert done.returncode == 0, done.stderr
    before = _bytes(tmp_path / "persons")
    for token, pin, told in (
        ("cardinal", "0000-0000", "PinIncorrect"),
        ("another", softhsm.PIN, "another"),
        ("empty", softhsm.PIN, "the token 'empty'"),
    ):
        refused = used(token, pin)
        assert refused.returncode == 1
        assert "KeysUnavailable" in refused.stderr
        assert told in refused.stderr
    assert _bytes(tmp_path / "persons") == before
    assert used("cardinal", softhsm.PIN).returncode == 0
