"""Runs that are kept for comparing: copies of their folders, and an index of them that SQL can query.

A store is a folder: ``runs/ID`` are run folders as ``sparsebench run`` leaves them, ``store.sqlite3`` says of each on
which machine it was made, has a row for each of its cases with the columns of ``results.csv``, and holds what has a
name (baselines) or was learned from several runs (noise). All of it goes by machine key. Writers wait for each other.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sparsebench.bench.machine import key_hash
from sparsebench.errors import InputError
from sparsebench.noise import CaseNoise, Noise, doubts, key_of
from sparsebench.results import COLUMNS
from sparsebench.run_folder import CASES, RUN, RunFolder, derive_rows

if TYPE_CHECKING:
    import pandas as pd

VARIABLE = "SPARSEBENCH_STORE"
DEFAULT = Path(".sparsebench")
INDEX = "store.sqlite3"
SCHEMA_VERSION = 1
# "SpBe": by this, SQLite's header tells a store from other programs' files.
_APPLICATION = 0x53704265
# How long a writer waits for others.
_TIMEOUT_S = 30.0
_QUOTED = ", ".join(f'"{name}"' for name in COLUMNS)
_NOISE = ", ".join(field.name for field in fields(CaseNoise))
_SCHEMA = f"""
CREATE TABLE runs (
    id TEXT PRIMARY KEY, machine TEXT, model TEXT, name TEXT, started TEXT, git_commit TEXT, version TEXT, cases INTEGER
) WITHOUT ROWID;
CREATE TABLE cases (run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE, {_QUOTED});
CREATE INDEX cases_by_kernel ON cases(kernel, run);
CREATE TABLE baselines (
    machine TEXT, name TEXT, run TEXT NOT NULL REFERENCES runs(id), saved TEXT, PRIMARY KEY (machine, name)
) WITHOUT ROWID;
CREATE TABLE noise (
    machine TEXT, {_NOISE}, PRIMARY KEY (machine, problem, kernel, threads, level)
) WITHOUT ROWID;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {SCHEMA_VERSION};
"""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run in a store.

    Attributes
    ----------
    id
        A digest of its record and cases: a run that is added twice is there once.
    machine, model
        Key of the machine that it was made on, and the model of its CPU.
    started
        ISO 8601, UTC.
    cases
        How many cases it has, measured or not.
    """

    id: str
    machine: str
    model: str
    name: str
    started: str
    git_commit: str | None
    version: str
    cases: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """A run that has a name; `saved` is when it got it, ISO 8601, UTC."""

    name: str
    saved: str
    run: StoredRun


_RUN = ", ".join(f"runs.{field.name}" for field in fields(StoredRun))


def store_path(chosen: Path | None) -> Path:
    """Return the folder of the store: `chosen`, else $SPARSEBENCH_STORE, else ``.sparsebench`` in the current one."""
    return chosen or Path(os.environ.get(VARIABLE) or DEFAULT)


def known_noise(chosen: Path | None, folder: RunFolder) -> tuple[Noise | None, list[str]]:
    """Return the noise of a run's cases on its machine, None without a store, and why it may be another's by now.

    Raises
    ------
    InputError
        If the store is damaged, or `chosen` and absent.
    """
    path = store_path(chosen)
    if chosen is None and not (path / INDEX).exists():
        return None, []
    keys = {key_of(result) for result in folder.results()}
    with Store.open(path) as store:
        cases = {case.key: case for case in store.noise(key_hash(folder.run["machine"])) if case.key in keys}
    return (Noise(cases) if cases else None), list(doubts(cases.values(), folder.run))


def find_baseline(chosen: Path | None, name: str, head: RunFolder) -> RunFolder:
    """Return the baseline of a name: that of the machine of `head`, else the one of another that was saved last.

    Raises
    ------
    InputError
        If there is no store, or no such baseline.
    """
    machine = key_hash(head.run["machine"])
    with Store.open(store_path(chosen)) as store:
        found = store.baselines(name)
        if not found:
            known = ", ".join(dict.fromkeys(baseline.name for baseline in store.baselines())) or "none"
            raise InputError(f"no baseline '{name}' in the store at '{store.path}'; known: {known}")
        return store.folder(max(found, key=lambda baseline: (baseline.run.machine == machine, baseline.saved)).run)


class Store:
    """A store on disk; see the module. Use `open`.

    Attributes
    ----------
    path
        Its folder.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    @contextmanager
    def open(cls, path: Path, *, create: bool = False) -> Iterator[Store]:
        """Yield the store in a folder; its errors are InputErrors. Nothing that is there already is overwritten.

        Raises
        ------
        InputError
            If there is none and `create` is not given, its index is damaged, of another program or a newer sparsebench,
            or it cannot be read, or written where that is tried.
        """
        index = path / INDEX
        if not create and not index.is_file():
            raise InputError(
                f"there is no store at '{path}': 'sparsebench baseline save', 'history --add' and 'run --record' make"
                " one (--store DIR says where)"
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make a store at '{path}': {error.strerror}") from error
        try:
            with closing(sqlite3.connect(index, timeout=_TIMEOUT_S, isolation_level=None)) as connection:
                connection.execute("PRAGMA foreign_keys = ON")
                store = cls(path, connection)
                store._prepare()
                yield store
        except sqlite3.OperationalError as error:
            raise InputError(f"cannot use the store at '{path}': {error}") from error
        except sqlite3.DatabaseError as error:
            raise InputError(f"{index} is damaged, or no store ({error}); move it away to begin another") from error

    def _prepare(self) -> None:
        """Make the tables of an empty file; refuse one that is no store, or newer; add columns that are new."""
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION and application == _APPLICATION:
            raise InputError(
                f"{self.path / INDEX}: its version, {version}, is newer than this sparsebench knows"
                f" ({SCHEMA_VERSION}); upgrade sparsebench"
            )
        if application == _APPLICATION:
            known = {row[1] for row in self._connection.execute("PRAGMA table_info(cases)")}
            for name in (name for name in COLUMNS if name not in known):
                self._connection.execute(f'ALTER TABLE cases ADD COLUMN "{name}"')
            return
        with self._writing() as connection:
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if connection.execute("PRAGMA application_id").fetchone()[0] == _APPLICATION:
                # Another process has made it meanwhile.
                return
            if tables or application:
                raise InputError(
                    f"{self.path / INDEX} is a database of another program; choose another folder with --store"
                )
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Write all that the body does, or nothing of it."""
        # Not the default, which fails at once where two readers want to become writers.
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def add(self, folder: RunFolder) -> StoredRun:
        """Copy a finished run into the store, and return what it is there; one that is there already stays as it is.

        Raises
        ------
        InputError
            If the run is not complete.
        """
        if not folder.complete:
            raise InputError(
                f"the run in '{folder.path}' is not complete; finish it with: sparsebench run --resume {folder.path}"
            )
        run = _describe(folder)
        self._copy(folder, run.id)
        with self._writing() as connection:
            known = connection.execute("SELECT 1 FROM runs WHERE id = ?", (run.id,)).fetchone()
            if not known:
                connection.execute(f"INSERT INTO runs VALUES ({_places(fields(run))})", astuple(run))
                rows = [(run.id, *row.values()) for row in derive_rows(folder.results())]
                connection.executemany(f"INSERT INTO cases (run, {_QUOTED}) VALUES (?, {_places(COLUMNS)})", rows)
        return run

    def _copy(self, folder: RunFolder, name: str) -> None:
        """Copy the files of a run so that its folder in the store is there as a whole or not at all."""
        final = self.path / "runs" / name
        part = final.with_name(f"{name}.{os.getpid()}.part")
        if final.is_dir():
            return
        try:
            part.mkdir(parents=True)
            for file in (RUN, CASES):
                shutil.copyfile(folder.path / file, part / file)
            part.rename(final)
        except OSError as error:
            # Else another writer was first.
            if not final.is_dir():
                raise InputError(f"cannot copy '{folder.path}' to '{final}': {error.strerror}") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def folder(self, run: StoredRun) -> RunFolder:
        """Open a stored run; raises as `RunFolder.open` does."""
        return RunFolder.open(self.path / "runs" / run.id)

    def runs(self) -> list[StoredRun]:
        """Return all runs, the oldest first."""
        rows = self._connection.execute(f"SELECT {_RUN} FROM runs ORDER BY started, id")
        return [StoredRun(*row) for row in rows]

    def remove(self, run_id: str) -> None:
        """Remove a run.

        Raises
        ------
        InputError
            If there is none, or it is a baseline.
        """
        with self._writing() as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM baselines WHERE run = ?", (run_id,))]
            if names:
                raise InputError(f"run {run_id} is baseline '{names[0]}': 'sparsebench baseline remove' that first")
            if not connection.execute("DELETE FROM runs WHERE id = ?", (run_id,)).rowcount:
                raise InputError(f"no run '{run_id}' in the store at '{self.path}'; 'sparsebench history' lists them")
        try:
            shutil.rmtree(self.path / "runs" / run_id)
        except FileNotFoundError:
            pass  # removed by hand
        except OSError as error:
            raise InputError(f"run {run_id} is forgotten, its files are not removed: {error}") from error

    def cases(self, kernel: str) -> pd.DataFrame:
        """Return the cases of a kernel in all runs: a column ``run``, then `COLUMNS`."""
        import pandas as pd

        query = f"SELECT run, {_QUOTED} FROM cases WHERE kernel = ?"
        return pd.read_sql_query(query, self._connection, params=(kernel,))

    def kernels(self) -> list[str]:
        """Return the names of all kernels that a run has."""
        return [name for (name,) in self._connection.execute("SELECT DISTINCT kernel FROM cases ORDER BY kernel")]

    def baselines(self, name: str | None = None) -> list[Baseline]:
        """Return all baselines, or those of a name, by name and machine."""
        rows = self._connection.execute(
            f"SELECT b.name, b.saved, {_RUN} FROM baselines b JOIN runs ON runs.id = b.run"
            " WHERE b.name = coalesce(?, b.name) ORDER BY b.name, b.machine",
            (name,),
        )
        return [Baseline(row[0], row[1], StoredRun(*row[2:])) for row in rows]

    def save_baseline(self, name: str, folder: RunFolder) -> tuple[StoredRun | None, StoredRun]:
        """Add a run and give it a name on its machine; return the run that had it there until now, and what it is here.

        Raises
        ------
        InputError
            If the name is empty or has spaces in it, or the run is not complete.
        """
        if not name or any(letter.isspace() or not letter.isprintable() for letter in name):
            raise InputError(f"'{name}' is no name for a baseline: use letters, digits and signs, no spaces")
        run = self.add(folder)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._writing() as connection:
            before = [baseline.run for baseline in self.baselines(name) if baseline.run.machine == run.machine]
            connection.execute("INSERT OR REPLACE INTO baselines VALUES (?, ?, ?, ?)", (run.machine, name, run.id, now))
        return (before[0] if before else None), run

    def remove_baseline(self, name: str, machine: str | None = None) -> int:
        """Forget a name on a machine or on all, not its runs; return on how many it was known.

        Raises
        ------
        InputError
            If there is no such baseline.
        """
        with self._writing() as connection:
            statement = "DELETE FROM baselines WHERE name = ? AND machine = coalesce(?, machine)"
            count = connection.execute(statement, (name, machine)).rowcount
        if not count:
            of = f" of machine {machine}" if machine else ""
            raise InputError(f"no baseline '{name}'{of}; 'sparsebench baseline list' shows them")
        return count

    def save_noise(self, machine: str, found: Sequence[CaseNoise]) -> None:
        """Keep how much cases scatter on a machine, instead of what was known of the same cases."""
        with self._writing() as connection:
            statement = f"INSERT OR REPLACE INTO noise (machine, {_NOISE}) VALUES (?, {_places(fields(CaseNoise))})"
            connection.executemany(statement, [(machine, *astuple(case)) for case in found])

    def noise(self, machine: str) -> list[CaseNoise]:
        """Return how much the cases that are known scatter on a machine."""
        rows = self._connection.execute(f"SELECT {_NOISE} FROM noise WHERE machine = ?", (machine,))
        return [CaseNoise(*row) for row in rows]


def _describe(folder: RunFolder) -> StoredRun:
    digest = hashlib.sha256()
    for file in (RUN, CASES):
        digest.update((folder.path / file).read_bytes())
    record = folder.run
    return StoredRun(
        id=digest.hexdigest()[:12],
        machine=key_hash(record["machine"]),
        model=str(record["machine"].get("model")),
        name=record["name"],
        started=record["started"],
        git_commit=record.get("git_commit"),
        version=record["sparsebench"],
        cases=len(folder.results()),
    )


def _places(of: Sequence[object]) -> str:
    return ", ".join("?" * len(of))
