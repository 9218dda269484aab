"""The exchange folder: handed over whole and once, or refused for a reason; races, kills, full disks."""

import hashlib
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from application.shared import gateways
from application.shared.gateways import (
    AcknowledgementInvalid,
    DuplicateFile,
    GatewayFull,
    GatewayUnavailable,
)
from infrastructure import exchange_folder as exchange
from infrastructure import points_gateway
from infrastructure.exchange_folder import Marker
from infrastructure.points_gateway import DirectoryGateway, Sent, State, gateway_of
from infrastructure.settings import Settings, SettingsFault
from tests.repeats import repeats

ROOT = Path(__file__).parents[2]
NAME = "PTS-20260301-0001.txt"
CONTENT = b"H|...\nD|...\nT|...\n"
NOBODY = 65534
KILLS = repeats(25)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    exchange.make(tmp_path / "exchange")
    return tmp_path / "exchange"


@pytest.fixture
def gateway(folder: Path) -> DirectoryGateway:
    return DirectoryGateway(folder)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / sha256_of(content)
        path.write_bytes(content)
        return path

    return write


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def seen(folder: Path) -> dict[str, bytes]:
    """What the other side may read: the announced files, each of which is what its marker says."""
    found = {}
    for marker_path in (folder / "outbox").glob("*.ready"):
        marker = Marker.read(marker_path)
        content = (folder / "outbox" / marker_path.name.removesuffix(".ready")).read_bytes()
        assert Marker.of(content) == marker, "half a file was announced"
        found[marker_path.name.removesuffix(".ready")] = content
    return found


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.suffix == ".part"]


def acknowledge(folder: Path, name: str, content: bytes) -> None:
    exchange.appear(folder / "inbox" / f"{name}.ack", content)
    exchange.appear(folder / "inbox" / f"{name}.ack.ready", Marker.of(content).encoded())


# --- Delivery -------------------------------------------------------------------


def test_a_file_is_handed_over_with_a_marker_of_its_size_and_checksum(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path]
) -> None:
    """PTS-09: deliver the file."""
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    assert seen(folder) == {NAME: CONTENT}
    assert Marker.read(folder / "outbox" / f"{NAME}.ready") == Marker(len(CONTENT), sha256_of(CONTENT))
    assert parts(folder) == []


@pytest.mark.parametrize("taken", ["", ".taken", "archived"])
def test_the_same_delivery_again_does_nothing_however_far_the_file_is(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path], taken: str
) -> None:
    """PTS-10: idempotent send."""
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    outbox = folder / "outbox"
    if taken:
        (outbox / f"{NAME}.ready").rename(outbox / f"{NAME}.taken")
    if taken == "archived":
        (outbox / NAME).rename(folder / "archive" / NAME)
        (outbox / f"{NAME}.taken").rename(folder / "archive" / f"{NAME}.taken")
    before = sorted(folder.rglob("*"))
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    DirectoryGateway(folder).deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    assert sorted(folder.rglob("*")) == before


def test_a_name_belongs_to_the_content_that_it_first_came_with(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path]
) -> None:
    """PTS-10: the second is refused as a duplicate."""
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    with pytest.raises(DuplicateFile, match="other content"):
        gateway.deliver(file(b"other"), NAME, sha256_of(b"other"))
    assert seen(folder) == {NAME: CONTENT}


def test_the_same_content_under_another_name_is_a_duplicate(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path]
) -> None:
    """PTS-10: send the same file twice: the second is refused, also after the other side has taken it."""
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    for path in (folder / "outbox").iterdir():
        path.unlink()
    with pytest.raises(DuplicateFile, match=f"as {NAME}"):
        gateway.deliver(file(CONTENT), "another.txt", sha256_of(CONTENT))
    assert seen(folder) == {}
    gateway.deliver(file(b"other"), "another.txt", sha256_of(b"other"))
    assert list(seen(folder)) == ["another.txt"]


def test_a_foreign_file_in_the_place_of_ours_is_never_overwritten(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path]
) -> None:
    """PTS-10."""
    (folder / "outbox" / NAME).write_bytes(b"foreign")
    with pytest.raises(DuplicateFile, match="there already"):
        gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    assert (folder / "outbox" / NAME).read_bytes() == b"foreign"
    assert seen(folder) == {}


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "../x", "a/b", "/x", "a\\b", ".hidden", "a..b", "a b", "a\n", "a\0", "é.txt",
        "x.ready", "x.taken", "x.withdrawn", "x.ack", "x.", "n" * 101,
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_or_mean_something_are_refused(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path], name: str
) -> None:
    """PTS-10."""
    before = sorted(folder.rglob("*"))
    with pytest.raises(ValueError, match="name"):
        gateway.deliver(file(CONTENT), name, sha256_of(CONTENT))
    with pytest.raises(ValueError, match="name"):
        gateway.acknowledgement(name)
    with pytest.raises(ValueError, match="name"):
        gateway.withdraw(name)
    assert sorted(folder.rglob("*")) == before


def test_a_file_that_is_not_what_is_said_of_it_goes_nowhere(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PTS-10."""
    with pytest.raises(ValueError, match="checksum"):
        gateway.deliver(file(CONTENT), NAME, sha256_of(b"other"))
    with pytest.raises(ValueError, match="hex"):
        gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT).upper())
    with pytest.raises(ValueError, match="empty"):
        gateway.deliver(file(b""), NAME, sha256_of(b""))
    monkeypatch.setattr("infrastructure.points_gateway.FILE_BYTES_MAX", len(CONTENT) - 1)
    with pytest.raises(ValueError, match="larger"):
        gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    assert seen(folder) == {}
    assert parts(folder) == []
    assert gateways.FILE_BYTES_MAX == 2 * 1024**3


# --- Withdrawal -----------------------------------------------------------------


def test_a_withdrawn_file_is_never_seen_again(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path]
) -> None:
    """WO-16: no points file is sent after a cancellation, whether it came before or after the delivery."""
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    assert gateway.withdraw(NAME)
    assert gateway.withdraw(NAME)
    assert gateway.withdraw("never-came.txt")
    for name in (NAME, "never-came.txt"):
        with pytest.raises(DuplicateFile, match="withdrawn"):
            gateway.deliver(file(CONTENT), name, sha256_of(CONTENT))
    assert list((folder / "outbox").iterdir()) == []
    gateway.deliver(file(CONTENT), "again.txt", sha256_of(CONTENT))
    assert seen(folder) == {"again.txt": CONTENT}


@pytest.mark.parametrize("place", ["outbox/{}.taken", "archive/{}"])
def test_what_the_other_side_has_taken_can_not_be_withdrawn(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path], place: str
) -> None:
    """WO-16."""
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    (folder / "outbox" / f"{NAME}.ready").rename(folder / place.format(NAME))
    assert not gateway.withdraw(NAME)
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    assert seen(folder) == {}


def test_a_withdrawal_that_was_killed_half_way_is_completed(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path]
) -> None:
    """WO-16: after the marker is away, and before that is remembered."""
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    outbox = folder / "outbox"
    (outbox / f"{NAME}.ready").rename(outbox / f"{NAME}.withdrawn")
    with pytest.raises(DuplicateFile, match="withdrawn"):
        gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    assert gateway.withdraw(NAME)
    assert list(outbox.iterdir()) == []
    with pytest.raises(DuplicateFile, match="withdrawn"):
        gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))


@pytest.mark.parametrize("trace", ["none", "answer"])
def test_what_was_taken_and_cleared_away_can_not_be_withdrawn(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path], trace: str
) -> None:
    """WO-16, PTS-10: the other side keeps its archive as short as it likes."""
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    for path in (folder / "outbox").iterdir():
        path.unlink()
    if trace == "answer":
        (folder / "sent" / f"{NAME}.json").unlink()
        acknowledge(folder, NAME, b"answer")
    assert not gateway.withdraw(NAME)


# --- Sent again -----------------------------------------------------------------


def taken(folder: Path, to: str = "archive/{}.taken") -> None:
    """The other side renames the marker, and puts the file away when it is done."""
    outbox, end = folder / "outbox", folder / to.format(NAME)
    (outbox / f"{NAME}.ready").rename(end)
    if "archive" in to:
        (outbox / NAME).rename(folder / "archive" / NAME)


def test_a_file_sent_again_is_seen_again_and_the_answer_of_before_is_put_away(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path]
) -> None:
    """PTS-09: each sending once, however often it is repeated."""
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    taken(folder)
    acknowledge(folder, NAME, b"broken")
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT), sending=2)
    assert seen(folder) == {NAME: CONTENT}
    assert gateway.acknowledgement(NAME) is None
    assert (folder / "sent" / f"{NAME}.ack.before-2").read_bytes() == b"broken"
    (folder / "archive" / NAME).unlink()
    taken(folder)
    acknowledge(folder, NAME, b"sound")
    for sending in (2, 1):
        gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT), sending)
    assert seen(folder) == {}
    assert gateway.acknowledgement(NAME) == b"sound"


def test_a_file_that_is_waiting_or_begun_is_not_put_there_twice(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path]
) -> None:
    """PTS-10: and one that nobody has taken may still be withdrawn."""
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT), sending=2)
    assert seen(folder) == {NAME: CONTENT}
    taken(folder, "outbox/{}.taken")
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT), sending=3)
    assert seen(folder) == {}
    assert not gateway.withdraw(NAME)


def test_a_copy_of_a_file_that_was_taken_is_no_longer_withdrawn(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path]
) -> None:
    """WO-16, PTS-10: the other side may have booked the one of before."""
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    taken(folder)
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT), sending=2)
    assert not gateway.withdraw(NAME)
    assert seen(folder) == {NAME: CONTENT}


def test_a_resending_that_was_killed_half_way_is_completed(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path]
) -> None:
    """PTS-10: after it was remembered, and before the copy can be seen."""
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    taken(folder)
    gateway._remember(NAME, Sent(sha256_of(CONTENT), State.OFFERED, 2, was_taken=True))
    assert not gateway.withdraw(NAME)
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT), sending=2)
    assert seen(folder) == {NAME: CONTENT}
    assert gateway._recall(NAME) == Sent(sha256_of(CONTENT), State.DELIVERED, 2, was_taken=True)


# --- Acknowledgement ------------------------------------------------------------


def test_an_acknowledgement_is_there_when_its_marker_is(gateway: DirectoryGateway, folder: Path) -> None:
    """PTS-09: take the acknowledgement file."""
    assert gateway.acknowledgement(NAME) is None
    (folder / "inbox" / f"{NAME}.ack").write_bytes(b"half")
    assert gateway.acknowledgement(NAME) is None
    (folder / "inbox" / f"{NAME}.ack").unlink()
    acknowledge(folder, NAME, b"all of it")
    assert gateway.acknowledgement(NAME) == gateway.acknowledgement(NAME) == b"all of it"


@pytest.mark.parametrize(
    "marker",
    [b"", b"no json", b"[]", b"{}", b'{"size": true, "sha256": "0"}', b"[" * 4000, b"x" * 5000,
     b'{"size": 9, "sha256": "' + b"0" * 64 + b'"}'],
)  # fmt: skip
def test_an_acknowledgement_that_is_not_what_its_sender_said_is_refused(
    gateway: DirectoryGateway, folder: Path, marker: bytes
) -> None:
    """PTS-10."""
    acknowledge(folder, NAME, b"all of it")
    (folder / "inbox" / f"{NAME}.ack.ready").write_bytes(marker)
    with pytest.raises(AcknowledgementInvalid):
        gateway.acknowledgement(NAME)


def test_an_acknowledgement_that_is_missing_or_too_large_is_refused(
    gateway: DirectoryGateway, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PTS-10."""
    acknowledge(folder, NAME, b"all of it")
    monkeypatch.setattr("infrastructure.points_gateway.ACKNOWLEDGEMENT_BYTES_MAX", 8)
    with pytest.raises(AcknowledgementInvalid):
        gateway.acknowledgement(NAME)
    (folder / "inbox" / f"{NAME}.ack").unlink()
    with pytest.raises(AcknowledgementInvalid, match="not there"):
        gateway.acknowledgement(NAME)


# --- The folder ------------------------------------------------------------------


@pytest.mark.parametrize("gone", ["outbox", "inbox", "archive"])
def test_a_folder_that_is_missing_is_named_and_not_made(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path], gone: str
) -> None:
    """PTS-13: an unmounted folder must not be taken for an empty one."""
    (folder / gone).rmdir()
    for call in (
        lambda: gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT)),
        lambda: gateway.withdraw(NAME),
        lambda: gateway.acknowledgement(NAME),
    ):
        with pytest.raises(GatewayUnavailable, match=f"{gone}.*mount"):
            call()
    assert not (folder / gone).exists()


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A place that others can reach, and for the block a user whom the rights of files bind."""
    with tempfile.TemporaryDirectory(prefix="cardinal-exchange-") as home:
        Path(home).chmod(0o755)
        exchange.make(Path(home))
        source = Path(home, "source")
        source.write_bytes(CONTENT)
        source.chmod(0o644)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(NOBODY)
        try:
            yield Path(home)
        finally:
            if is_root:
                os.seteuid(0)
            for each in Path(home).iterdir():
                each.chmod(0o755)


def test_a_folder_that_is_not_writable_is_unavailable_until_it_is(unprivileged: Path) -> None:
    """PTS-13: with the points adapter down, nothing is lost."""
    user, outbox = os.geteuid(), unprivileged / "outbox"

    def rights(mode: int) -> None:
        if user == NOBODY:
            os.seteuid(0)
        for path in (unprivileged, outbox):
            path.chmod(mode)
        if user == NOBODY:
            os.seteuid(user)

    gateway = DirectoryGateway(unprivileged)
    rights(0o555)
    with pytest.raises(GatewayUnavailable, match=r"Permission denied.*rights"):
        gateway.deliver(unprivileged / "source", NAME, sha256_of(CONTENT))
    rights(0o777)
    gateway.deliver(unprivileged / "source", NAME, sha256_of(CONTENT))
    assert seen(unprivileged) == {NAME: CONTENT}


def test_no_room_is_told_and_leaves_nothing_half_done(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path]
) -> None:
    """PTS-13: with a real limit of the kernel on the size of files, in the midst of the copy."""
    content = random.Random(1).randbytes(300_000)
    path = file(content)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(GatewayFull, match="room"):
            gateway.deliver(path, NAME, sha256_of(content))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((folder / "outbox").iterdir()) == []
    gateway.deliver(path, NAME, sha256_of(content))
    assert seen(folder) == {NAME: content}


def test_the_times_of_files_mean_nothing(
    gateway: DirectoryGateway, folder: Path, file: Callable[[bytes], Path]
) -> None:
    """PTS-10: clocks of two machines need not agree."""
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    acknowledge(folder, NAME, b"answer")
    for path in folder.rglob("*"):
        os.utime(path, (0, 0) if path.is_dir() else (4e9, 4e9))
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    assert seen(folder) == {NAME: CONTENT}
    assert gateway.acknowledgement(NAME) == b"answer"
    assert gateway.withdraw(NAME)


# --- Races and kills --------------------------------------------------------------


def start(folder: Path, *deliveries: str) -> "subprocess.Popen[bytes]":
    """A process that makes `path=name` deliveries in turn, when it is told to; it exits with the outcome."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder), *deliveries],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.read(1) == b"."
    return process


def go(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.write(b".")
    process.stdin.flush()


def outcome(process: "subprocess.Popen[bytes]") -> str:
    return process.communicate(timeout=60)[0].decode()


def duration_s(folder: Path, delivery: str) -> float:
    """From the word to go to the outcome."""
    process = start(folder, delivery)
    assert process.stdout is not None
    begun = time.perf_counter()
    go(process)
    assert process.stdout.read(1) == b"d"
    took_s = time.perf_counter() - begun
    outcome(process)
    return took_s


def test_of_two_that_deliver_under_one_name_at_once_one_succeeds(
    folder: Path, file: Callable[[bytes], Path]
) -> None:
    """PTS-10: the name's content is wholly the winner's."""
    names = [f"race-{number}.txt" for number in range(40)]
    contents = [[f"{side} {name}\n".encode() * 2_000 for name in names] for side in "ab"]
    racers = [
        start(folder, *(f"{file(content)}={name}" for content, name in zip(side, names, strict=True)))
        for side in contents
    ]
    for racer in racers:
        go(racer)
    first, second = (outcome(racer) for racer in racers)
    assert all({one, other} == {"d", "r"} for one, other in zip(first, second, strict=True))
    assert len(first) == len(names)
    assert seen(folder) == {
        name: contents[0 if won == "d" else 1][at]
        for at, (name, won) in enumerate(zip(names, first, strict=True))
    }


def test_of_two_that_deliver_one_content_under_two_names_at_once_one_succeeds(
    folder: Path, file: Callable[[bytes], Path]
) -> None:
    """PTS-10."""
    sources = [file(f"content {number}\n".encode() * 2_000) for number in range(40)]
    racers = [start(folder, *(f"{path}={side}-{path.name[:8]}" for path in sources)) for side in "ab"]
    for racer in racers:
        go(racer)
    first, second = (outcome(racer) for racer in racers)
    assert all({one, other} == {"d", "r"} for one, other in zip(first, second, strict=True))
    assert len(seen(folder)) == len(first) == len(sources)


def test_a_delivery_that_is_killed_anywhere_is_completed_by_the_next(
    folder: Path, file: Callable[[bytes], Path]
) -> None:
    """PTS-10: kill -9 at random moments; what is announced is whole at every moment."""
    chance = random.Random(20260301)
    contents = {f"killed-{number}.txt": chance.randbytes(400_000) for number in range(KILLS)}
    killed, took_s = 0, duration_s(folder, f"{file(chance.randbytes(400_000))}=measured.txt")
    (folder / "outbox" / "measured.txt.ready").unlink()
    for name, content in contents.items():
        delivery = f"{file(content)}={name}"
        process = start(folder, delivery)
        go(process)
        time.sleep(chance.random() * took_s)
        process.kill()
        killed += outcome(process) == ""
        assert seen(folder).get(name, content) == content
        again = start(folder, delivery)
        go(again)
        assert outcome(again) == "d"
        assert seen(folder)[name] == content
    assert killed >= KILLS // 3, "the kills came too late to mean anything"
    assert seen(folder) == contents
    assert parts(folder) == [], "what the killed were writing is swept up"


# --- Settings ----------------------------------------------------------------------


def test_the_gateway_is_a_folder_in_the_home_unless_a_setting_names_one(
    tmp_path: Path, file: Callable[[bytes], Path]
) -> None:
    """PTS-09."""
    gateway_of(Settings.read({"CARDINAL_HOME": str(tmp_path)})).deliver(
        file(CONTENT), NAME, sha256_of(CONTENT)
    )
    assert seen(tmp_path / "gateway") == {NAME: CONTENT}

    named = tmp_path / "named"
    gateway = gateway_of(Settings.read({"POINTS_GATEWAY": f"directory:{named}"}))
    with pytest.raises(GatewayUnavailable):
        gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    exchange.make(named)
    gateway.deliver(file(CONTENT), NAME, sha256_of(CONTENT))
    assert seen(named) == {NAME: CONTENT}
    for wrong in ("directory:relative", "sftp://x", "/path", "directory:/a\0b"):
        with pytest.raises(SettingsFault, match="POINTS_GATEWAY"):
            gateway_of(Settings.read({"POINTS_GATEWAY": wrong}))


def test_another_way_to_the_points_system_plugs_in_at_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PTS-09, NFR-04: an adapter is what its scheme is followed by; nothing else knows of it."""
    made: list[str] = []

    def adapter(place: str, settings: Settings) -> DirectoryGateway:
        made.append(f"{place} of {settings.home.name}")
        return DirectoryGateway(tmp_path)

    monkeypatch.setitem(points_gateway.ADAPTERS, "sftp", adapter)
    given = {"CARDINAL_HOME": str(tmp_path / "home"), "POINTS_GATEWAY": "sftp://points.bank.example:22/in"}
    assert isinstance(gateway_of(Settings.read(given)), DirectoryGateway)
    assert made == ["//points.bank.example:22/in of home"]
    assert not (tmp_path / "home").exists()


def deliver_all(folder: Path, deliveries: list[str]) -> None:
    """The process that races and is killed: prints d for a delivery and r for one refused."""
    gateway = DirectoryGateway(folder)
    pairs = [delivery.split("=") for delivery in deliveries]
    checked = [(Path(path), name, sha256_of(Path(path).read_bytes())) for path, name in pairs]
    sys.stdout.write(".")
    sys.stdout.flush()
    sys.stdin.read(1)
    for path, name, sha256 in checked:
        try:
            gateway.deliver(path, name, sha256)
        except DuplicateFile:
            sys.stdout.write("r")
        else:
            sys.stdout.write("d")
        sys.stdout.flush()


if __name__ == "__main__":
    deliver_all(Path(sys.argv[1]), sys.argv[2:])
