"""What a run leaves on disk: ``cases.jsonl`` is the truth, ``results.csv`` derives from it, ``run.json`` says how.

A case is finished once its line of ``cases.jsonl`` ends in a newline on disk. A crash can therefore tear the last line
only; it is ignored when reading and cut off before the next line is written.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsebench.bench.stats import ratio_interval, remarks
from sparsebench.errors import InputError
from sparsebench.records import append_lines, read_lines, read_record, replacing, write_record
from sparsebench.results import COLUMNS, CaseResult

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
CASES = "cases.jsonl"
RESULTS = "results.csv"
RUN = "run.json"

Key = tuple[str, str, str, int, str]
Row = dict[str, Any]


def derive_rows(results: Sequence[CaseResult]) -> list[Row]:
    """Compute the rows of ``results.csv`` from raw cases: one dict per case, its keys being `COLUMNS`, in order.

    Speed-ups are over the case of the same group whose kernel is the group's baseline, where both are ok; elsewhere
    they are None, and so is every time of a case whose answer was wrong or that failed.

    Raises
    ------
    ValueError
        If cases of one group have different numbers of samples.
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
        speedup = ratio_interval(baseline.samples_s, result.samples_s)
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
    """

    def __init__(self, path: Path, run: dict[str, Any], results: Iterable[CaseResult], torn_at: int | None) -> None:
        """Use `create` or `open`. `torn_at` is the byte of ``cases.jsonl`` at which a torn line begins."""
        self.path = path
        self.run = run
        self._torn_at = torn_at
        self._csv_in_step = False
        self._results: dict[Key, CaseResult] = {result.key: result for result in results}

    @property
    def torn(self) -> bool:
        """Whether the last line of ``cases.jsonl`` was cut short; its case does not count as finished."""
        return self._torn_at is not None

    @classmethod
    def create(cls, path: Path, run: dict[str, Any]) -> RunFolder:
        """Make the folder, its parents where needed, and its three files; `run` is what ``run.json`` will say.

        Raises
        ------
        InputError
            If the folder has something in it, or cannot be written to.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            if (path / RUN).exists():
                raise InputError(f"'{path}' already holds a run: go on with it by --resume, or name another folder")
            if any(path.iterdir()):
                raise InputError(f"folder '{path}' is not empty; name a new or an empty one for the run")
            folder = cls(path, {"schema_version": SCHEMA_VERSION, **run}, [], None)
            (path / CASES).touch()
            folder._rewrite_csv()
            # Last: a folder with run.json has all three files.
            folder._write_run()
        except OSError as error:
            raise InputError(f"cannot write a run to '{path}': {error.strerror}; name a writable folder") from error
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Read a finished, interrupted or running run.

        Raises
        ------
        InputError
            If the folder is no run, was written by a newer sparsebench, or is damaged elsewhere than in its last line.
        """
        if not path.is_dir():
            raise InputError(f"there is no run at '{path}': {'not a folder' if path.exists() else 'it does not exist'}")
        run = read_record(path / RUN, SCHEMA_VERSION)
        results, torn_at = read_lines(path / CASES, CaseResult.from_json)
        return cls(path, run, results, torn_at)

    def append(self, results: Sequence[CaseResult]) -> None:
        """Add a finished group, and return once it is safely on disk.

        A case that is there already is replaced: a group that was interrupted is measured again as a whole.
        """
        self._mend()
        append_lines(self.path / CASES, [result.to_json() for result in results])
        repeated = any(result.key in self._results for result in results)
        self._results |= {result.key: result for result in results}
        if repeated:
            self._rewrite_csv()
        else:
            with (self.path / RESULTS).open("a", encoding="utf-8", newline="") as stream:
                csv.DictWriter(stream, COLUMNS, lineterminator="\n").writerows(derive_rows(results))

    def update(self, **entries: Any) -> None:
        """Set entries of ``run.json``, atomically."""
        self._mend()
        self.run |= entries
        self._write_run()

    def results(self) -> list[CaseResult]:
        """Return the finished cases in the order in which they were first recorded."""
        return list(self._results.values())

    def finished(self) -> set[Key]:
        """Return the keys (suite, problem, kernel, threads, level) of the finished cases."""
        return set(self._results)

    def frame(self) -> pd.DataFrame:
        """Return ``results.csv`` as a frame with exactly `COLUMNS`; whole numbers that may be absent are Int64."""
        import pandas as pd

        frame = pd.DataFrame(derive_rows(self.results()), columns=list(COLUMNS))
        return frame.astype(dict.fromkeys(("overlay", "lanes", "nnz", "packed_bytes"), "Int64"))

    def warnings(self) -> list[str]:
        """Return what a reader of the results should know: the run's own warnings, and whether it is complete."""
        found = [str(warning) for warning in self.run.get("warnings", [])]
        if "finished" not in self.run:
            found.append(f"the run is not complete; finish it with: sparsebench run --resume {self.path}")
        if self.torn:
            found.append(f"the last line of {CASES} is torn; its case does not count")
        return found

    def _mend(self) -> None:
        """Before the first write after `open`: cut a torn line off, and bring ``results.csv`` into step."""
        if self._torn_at is not None:
            os.truncate(self.path / CASES, self._torn_at)
            self._torn_at = None
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
