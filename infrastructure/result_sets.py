"""Where result sets lie, for ever as they were written.

    <folder>/<run id>/result.parquet     the rows in primary-index order
    <folder>/<run id>/result.json        what `ResultSet` says, and the SHA-256 of the Parquet file
    <folder>/.run-<run id>/              a run under way, or what a killed one left: gone when it starts again
    <folder>/.locks/<run id>             held by whoever performs the run; removed when nobody has for a day

The content hash is SHA-256 over a header, a line `name<TAB>type` for each column, and the rows: values as
DuckDB writes them as text, parted by tabs and ended by a line feed, with backslash, tab, line feed, carriage
return as \\\\, \\t, \\n, \\r and null as \\N. It does not depend on the file format: an auditor recomputes it
from any copy of the rows.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

import duckdb

from application.shared.engines import Column, ResultSet, RunFailed, RunFailure
from infrastructure.duckdb_session import name
from infrastructure.durable_files import flush, flush_tree, remove, sha256_of, try_held
from infrastructure.warehouse import quoted

HASHED_ROWS = 10_000
DISCARD_S = 30.0
ABANDONED_S = 24 * 3600.0
"""Longer than any query may take."""
_LOCK_GLANCE_S = 0.2
_PLAIN_TYPES = ("BIGINT", "INTEGER", "SMALLINT", "DOUBLE", "DATE", "BOOLEAN", "TIMESTAMP", "DECIMAL")


class ResultSets:
    """The results in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, run_id: UUID) -> Path:
        """The run's Parquet file."""
        return self.folder / str(run_id) / "result.parquet"

    def find(self, run_id: UUID) -> ResultSet | None:
        """The finished result; None when there is none."""
        described = self.folder / str(run_id) / "result.json"
        if not described.exists():
            return None
        given = json.loads(described.read_text())
        return ResultSet(
            run_id,
            given["rows"],
            tuple(Column(**column) for column in given["columns"]),
            given["content_hash"],
            given["snapshot"],
            given["bytes"],
            given["duration_ms"],
        )

    def require(self, run_id: UUID) -> ResultSet:
        """The finished result, whose file is what was written. Raise RunFailed."""
        found = self.find(run_id)
        if found is None:
            raise RunFailed(RunFailure.RESULT_MISSING, {"run": str(run_id)})
        described = json.loads((self.folder / str(run_id) / "result.json").read_text())
        place = self.place(run_id)
        if not place.exists() or sha256_of(place) != described["file_sha256"]:
            raise RunFailed(RunFailure.RESULT_DAMAGED, {"run": str(run_id)})
        return found

    @contextmanager
    def turn(self, run_id: UUID, wait: Callable[[], None]) -> Iterator[int]:
        """Perform this run alone, with the descriptor of its lock. `wait` is called while another does; it
        may raise.
        """
        lock = self.folder / ".locks" / str(run_id)
        while True:
            with try_held(lock) as descriptor:
                if descriptor is not None:
                    yield descriptor
                    return
            wait()
            time.sleep(_LOCK_GLANCE_S)

    def discard(self, run_id: UUID) -> None:
        """Remove the run's result and what attempts have left. Raise TimeoutError when it is held."""
        until = time.monotonic() + DISCARD_S

        def wait() -> None:
            if time.monotonic() > until:
                raise TimeoutError(f"somebody is still at the run {run_id}")

        with self.turn(run_id, wait):
            remove(self.folder / f".run-{run_id}")
            remove(self.folder / str(run_id))

    def sweep(self) -> int:
        """Remove folders of work under way that nobody has touched for a day; how many there were. The locks
        of runs that are over go too.
        """
        before = time.time() - ABANDONED_S
        found = [path for path in self.folder.glob(".run-*") if _touched_at(path) < before]
        for path in found:
            remove(path)
        for lock in (self.folder / ".locks").glob("*"):
            if _touched_at(lock) < before:
                with try_held(lock) as descriptor:
                    if descriptor is not None:
                        lock.unlink()
        return len(found)

    @contextmanager
    def building(self, label: str) -> Iterator[Path]:
        """An empty folder for work under way; it vanishes however the work ends, or when it begins anew."""
        folder = self.folder / f".run-{label}"
        remove(folder)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            remove(folder)

    def publish(self, building: Path, result: ResultSet) -> None:
        """Let the result appear at once, on the disk and read-only."""
        remove(building / "temp")
        file = building / "result.parquet"
        described = asdict(result) | {"run_id": str(result.run_id), "file_sha256": sha256_of(file)}
        (building / "result.json").write_text(json.dumps(described, indent=2))
        for path in building.iterdir():
            path.chmod(0o440)
        flush_tree(building)
        os.rename(building, self.folder / str(result.run_id))
        flush(self.folder)


def _touched_at(folder: Path) -> float:
    """When something last appeared in the folder, or vanished; now, when it is gone itself."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def content_hash(connection: duckdb.DuckDBPyConnection, file: Path, columns: Sequence[Column]) -> str:
    """The hash of the rows in the file, in their order; see above for how it is made."""
    digest = hashlib.sha256("".join(f"{column.name}\t{column.type}\n" for column in columns).encode())
    line = f"concat_ws(e'\\t', {', '.join(_text_of(column) for column in columns)})"
    cursor = connection.execute(f"select {line} from read_parquet('{quoted(file)}')")
    while rows := cursor.fetchmany(HASHED_ROWS):
        rows.append(("",))  # the last line ends, too
        digest.update("\n".join([text for (text,) in rows]).encode())
    return digest.hexdigest()


def _text_of(column: Column) -> str:
    """Null is told last: it is no text that could be escaped. Few texts hold what must be escaped: they are
    looked through, which costs half of replacing."""
    value = f"{name(column.name)}::varchar"
    if not column.type.startswith(_PLAIN_TYPES):
        escaped, found = value, []
        for plain, shown in (("\\\\", "\\\\\\\\"), ("\\t", "\\\\t"), ("\\n", "\\\\n"), ("\\r", "\\\\r")):
            escaped = f"replace({escaped}, e'{plain}', e'{shown}')"
            found.append(f"contains({value}, e'{plain}')")
        value = f"case when {' or '.join(found)} then {escaped} else {value} end"
    return f"coalesce({value}, '\\N')"
