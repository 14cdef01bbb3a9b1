"""What a run leaves on disk: ``cases.jsonl`` is the truth, ``results.csv`` derives from it, ``run.json`` says how.

A case is finished once its line of ``cases.jsonl`` ends in a newline on disk. A crash can therefore tear the last line
only; it is ignored when reading and cut off before the next line is written. Who writes holds a lock on the file.
"""

from __future__ import annotations

import csv
import json
import os
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsebench.bench.stats import ratio_interval, remarks
from sparsebench.errors import InputError, StorageError
from sparsebench.locks import lock_for_writing
from sparsebench.records import (
    FRESH,
    Lines,
    NewerSchemaError,
    append_lines,
    read_lines,
    read_record,
    replacing,
    write_record,
)
from sparsebench.results import COLUMNS, CaseResult

if TYPE_CHECKING:
    import pandas as pd

CASES = "cases.jsonl"
RESULTS = "results.csv"
RUN = "run.json"
SCHEMA_VERSION = 1

Key = tuple[str, str, str, int, str]
Row = dict[str, Any]


def derive_rows(results: Sequence[CaseResult]) -> list[Row]:
    """Compute the rows of ``results.csv`` from raw cases: one dict per case, its keys being `COLUMNS`, in order.

    Speed-ups are over the case of the same group whose kernel is the group's baseline, where both are ok; elsewhere
    they are None, and so is every time of a case whose answer was wrong or that failed.

    Raises
    ------
    InputError
        If cases of one group have different numbers of samples, or one has samples that are no times.
    """
    baselines = {r.group: r for r in results if r.kernel == r.baseline and r.group and r.status == "ok" and r.samples_s}
    return [_row(result, baselines.get(result.group)) for result in results]


def _row(result: CaseResult, baseline: CaseResult | None) -> Row:
    row: Row = {name: getattr(result, name, None) for name in COLUMNS}
    row["layers"] = json.dumps(result.layers) if result.layers else None
    row["remarks"] = " ".join(remarks(result.samples_s)) if result.measured and result.samples_s else ""
    if not result.measured:
        row |= {"median_s": None, "ci_low_s": None, "ci_high_s": None}
    if baseline is not None and result.status == "ok" and result.samples_s:
        try:
            speedup = ratio_interval(baseline.samples_s, result.samples_s)
        except ValueError as error:
            raise InputError(f"{result.label} cannot be compared with {baseline.kernel}: {error}") from error
        row |= {"speedup": speedup.estimate, "speedup_ci_low": speedup.low, "speedup_ci_high": speedup.high}
    return row


class RunFolder:
    """A run on disk. Opening one changes nothing in it; writing mends what a crash has torn.

    Attributes
    ----------
    path
        The folder.
    run
        Contents of ``run.json``.
    losses
        What was damaged and could not be read, as sentences.
    """

    def __init__(self, path: Path, run: dict[str, Any], cases: Lines[CaseResult], lost: str = "") -> None:
        """Use `create`, `open` or `resume`; `lost` says why ``run.json`` could not be read."""
        self.path = path
        self.run = run
        self.losses = (*filter(None, [lost]), *cases.losses)
        self._salvaged = bool(lost)
        self._torn_at = cases.whole if cases.torn else None
        self._size_read = cases.size
        self._csv_in_step = False
        self._locked = False
        self._results: dict[Key, CaseResult] = {result.key: result for result in cases.parsed}

    @property
    def torn(self) -> bool:
        """Whether the last line of ``cases.jsonl`` was cut short; its case does not count as finished."""
        return self._torn_at is not None

    @classmethod
    def create(cls, path: Path, run: dict[str, Any]) -> RunFolder:
        """Make the folder, its parents where needed, and its three files; `run` is what ``run.json`` will say.

        What a run left that was killed before its ``run.json`` was there is written over: nothing had been measured.

        Raises
        ------
        InputError
            If the folder has something in it, another process writes to it, or it cannot be written to.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            if (path / RUN).exists():
                raise InputError(f"'{path}' already holds a run: go on with it by --resume, or name another folder")
            if not _is_empty(path):
                raise InputError(f"folder '{path}' is not empty; name a new or an empty one for the run")
            (path / CASES).touch()
            folder = cls(path, {"schema_version": SCHEMA_VERSION, **run}, Lines())
            folder._lock()
            if (path / RUN).exists():
                raise InputError(f"'{path}' has just become the folder of another run; name another folder")
            folder._rewrite_csv()
            # Last: a folder with run.json has all three files.
            folder._write_run()
        except OSError as error:
            raise InputError(f"cannot write a run to '{path}': {error.strerror}; name a writable folder") from error
        return folder

    @classmethod
    def open(cls, path: Path, *, salvage: bool = False) -> RunFolder:
        """Read a finished, interrupted or running run.

        Cases that cannot be read are left out, and `losses` names them. With `salvage`, so is ``run.json``: `run` then
        has no more than its schema version.

        Raises
        ------
        InputError
            If the folder is no run, was written by a newer sparsebench, or ``run.json`` is damaged.
        """
        if not path.is_dir():
            raise InputError(f"there is no run at '{path}': {'not a folder' if path.exists() else 'it does not exist'}")
        try:
            return cls(path, read_record(path / RUN, SCHEMA_VERSION), _read_cases(path / CASES))
        except NewerSchemaError:
            raise
        except InputError as error:
            if not (salvage and (path / CASES).exists()):
                raise
            lost = f"{error}; how the run was made is lost, and it cannot be resumed"
        return cls(path, {"schema_version": SCHEMA_VERSION}, _read_cases(path / CASES), lost)

    @classmethod
    def resume(cls, path: Path) -> RunFolder:
        """Read a run to go on with it; nobody else can write to it from then on.

        Raises
        ------
        InputError
            As `open`; if another process writes to the run, or it cannot be written to.
        """
        folder = cls.open(path)
        try:
            folder._lock()
        except OSError as error:
            raise InputError(
                f"cannot write to the run at '{path}': {error.strerror}; copy it to where you may write"
            ) from error
        return folder

    def append(self, results: Sequence[CaseResult]) -> None:
        """Add a finished group, and return once it is safely on disk.

        A case that is there already is replaced: a group that was interrupted is measured again as a whole.

        Raises
        ------
        InputError
            If another process writes to the run.
        StorageError
            If the disk is full or gone; what was finished before is still there, and nothing of these results.
        """
        with self._writing(CASES):
            self._mend()
            self._append_whole(results)
        repeated = any(result.key in self._results for result in results)
        self._results |= {result.key: result for result in results}
        with self._writing(RESULTS):
            if repeated:
                self._rewrite_csv()
            else:
                with (self.path / RESULTS).open("a", encoding="utf-8", newline="") as stream:
                    csv.DictWriter(stream, COLUMNS, lineterminator="\n").writerows(derive_rows(results))

    def update(self, **entries: Any) -> None:
        """Set entries of ``run.json``, atomically.

        Raises
        ------
        InputError, StorageError
            As `append`.
        """
        with self._writing(RUN):
            self._mend()
            self.run |= entries
            self._write_run()

    def warn(self, warning: str) -> None:
        """Add to the run's warnings, once."""
        warnings = self.run.get("warnings", [])
        if warning not in warnings:
            self.update(warnings=[*warnings, warning])

    def results(self) -> list[CaseResult]:
        """Return the finished cases in the order in which they were first recorded."""
        return list(self._results.values())

    def finished(self) -> set[Key]:
        """Return the keys (suite, problem, kernel, threads, level) of the finished cases."""
        return set(self._results)

    @property
    def complete(self) -> bool:
        """Whether the run came to its end, and every case that was to be measured is here."""
        return "finished" in self.run and self._planned() <= self.finished()

    def frame(self) -> pd.DataFrame:
        """Return ``results.csv`` as a frame with exactly `COLUMNS`; whole numbers that may be absent are Int64."""
        import pandas as pd

        frame = pd.DataFrame(derive_rows(self.results()), columns=list(COLUMNS))
        return frame.astype(dict.fromkeys(("overlay", "lanes", "nnz", "packed_bytes"), "Int64"))

    def warnings(self) -> list[str]:
        """Return what a reader of the results should know: the run's own warnings, what is lost, what is missing."""
        found = [str(warning) for warning in self.run.get("warnings", [])]
        found += self.losses
        if self.torn:
            found.append(f"the last line of {CASES} is torn; its case does not count")
        planned = self._planned()
        missing = len(planned - self.finished())
        if missing or ("finished" not in self.run and not self._salvaged):
            lacking = f" ({missing} of {len(planned)} cases are missing)" if missing else ""
            found.append(f"the run is not complete{lacking}; finish it with: sparsebench run --resume {self.path}")
        return found

    def _planned(self) -> set[Key]:
        """Keys of the cases that were to be measured, as far as ``run.json`` tells."""
        return {
            (group["suite"], group["problem"], kernel, group["threads"], group["level"])
            for group in self.run.get("groups", [])
            for kernel in group["kernels"]
        }

    def _lock(self) -> None:
        """Keep others from writing until this object is gone, or the process."""
        if self._locked:
            return
        descriptor = lock_for_writing(self.path / CASES)
        # One that wrote in between had the lock, and may have finished cases that this object does not know.
        if os.fstat(descriptor).st_size != self._size_read:
            os.close(descriptor)
            raise InputError(f"the run at '{self.path}' has grown since it was read; read it again")
        weakref.finalize(self, os.close, descriptor)
        self._locked = True

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            self._lock()
            yield
        except OSError as error:
            self._csv_in_step = False
            raise StorageError(
                f"cannot write {error.filename or self.path / name}: {error.strerror}."
                f" All {len(self._results)} cases finished before are kept; when that is mended, go on with:"
                f" sparsebench run --resume {self.path}"
            ) from error

    def _append_whole(self, results: Sequence[CaseResult]) -> None:
        before = (self.path / CASES).stat().st_size
        try:
            append_lines(self.path / CASES, [result.to_json() for result in results])
        except OSError:
            # A part may be there that could not be cut off; it will be before the next write.
            self._torn_at = before
            raise

    def _cut_torn_line(self) -> None:
        if self._torn_at is not None:
            os.truncate(self.path / CASES, self._torn_at)
            self._torn_at = None

    def _mend(self) -> None:
        """Before the first write after `open`: cut a torn line off, and bring ``results.csv`` into step."""
        self._cut_torn_line()
        if not self._csv_in_step:
            self._rewrite_csv()

    def _rewrite_csv(self) -> None:
        with replacing(self.path / RESULTS) as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(derive_rows(self.results()))
        self._csv_in_step = True

    def _write_run(self) -> None:
        write_record(self.path / RUN, self.run)


def _read_cases(path: Path) -> Lines[CaseResult]:
    if not path.exists():
        raise InputError(f"{path} is missing, and with it all results: restore it, or run again into another folder")
    return read_lines(path, CaseResult.from_json, "case")


def _is_empty(path: Path) -> bool:
    """Whether a folder has nothing in it but what a run leaves that is killed while it makes its files."""
    names = {entry.name for entry in path.iterdir()}
    if not names:
        return True
    if CASES not in names or not names <= {CASES, RESULTS, f"{RESULTS}{FRESH}", f"{RUN}{FRESH}"}:
        return False
    rows = (path / RESULTS).read_text(encoding="utf-8", errors="replace").count("\n") if RESULTS in names else 0
    return (path / CASES).stat().st_size == 0 and rows <= 1
