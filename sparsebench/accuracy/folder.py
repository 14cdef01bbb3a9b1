"""What a study leaves on disk: ``trainings.jsonl`` is the truth, ``accuracy.csv`` derives from it.

A line is one finished training; it is on disk before the next begins. ``accuracy.json`` says how the study was made,
``epochs.jsonl`` is the log, ``networks/NAME`` has each trained network as `sparsebench.nets` reads it, ``speed`` is a
run of ``sparsebench run`` over some of them, and ``checkpoint-NAME.pt`` the training that goes on.
"""

from __future__ import annotations

import csv
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sparsebench.accuracy.results import Timing, TrainingResult, rows
from sparsebench.errors import InputError, StorageError
from sparsebench.locks import lock_for_writing
from sparsebench.records import Lines, append_lines, read_lines, read_record, replacing, write_record
from sparsebench.run_folder import RUN, RunFolder

SCHEMA_VERSION = 1
RECORD = "accuracy.json"
TRAININGS = "trainings.jsonl"
EPOCHS = "epochs.jsonl"
RESULTS = "accuracy.csv"
NETWORKS = "networks"
SPEED = "speed"
WEIGHTS = "weights.npz"
# Kernels of op "network" are its modes.
_PREFIX = "net-"


class AccuracyFolder:
    """A study on disk. Opening one changes nothing in it.

    Attributes
    ----------
    path
        The folder.
    record
        Contents of ``accuracy.json``.
    """

    def __init__(self, path: Path, record: dict[str, Any], lines: Lines[TrainingResult]) -> None:
        """Use `create`, `open` or `resume`."""
        self.path = path
        self.record = record
        self.torn = lines.torn
        self._whole = lines.whole
        self._losses = lines.losses
        self._results = {result.name: result for result in lines.parsed}

    @classmethod
    def create(cls, path: Path, record: dict[str, Any]) -> AccuracyFolder:
        """Make the folder, its parents where needed, and its files, and lock it.

        Raises
        ------
        InputError
            If the folder has something in it, cannot be written to, or its path cannot be part of a problem string.
        """
        _require_plain(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise InputError(f"folder '{path}' is not empty; name a new or an empty one, or go on by --resume")
            folder = cls(path, {"schema_version": SCHEMA_VERSION, **record}, Lines())
            (path / NETWORKS).mkdir()
            for name in (TRAININGS, EPOCHS):
                (path / name).touch()
            folder._lock()
            write_record(path / RECORD, folder.record)
        except OSError as error:
            raise InputError(f"cannot write a study to '{path}': {error.strerror}; name a writable folder") from error
        return folder

    @classmethod
    def open(cls, path: Path) -> AccuracyFolder:
        """Read a finished, interrupted or running study.

        Raises
        ------
        InputError
            If the folder is none, was written by a newer sparsebench, or its record is damaged. Of the trainings, those
            that can be read are; `warnings` tells of the others.
        """
        if not path.is_dir():
            raise InputError(
                f"there is no study at '{path}': {'not a folder' if path.exists() else 'it does not exist'}"
            )
        record = read_record(path / RECORD, SCHEMA_VERSION)
        return cls(path, record, read_lines(path / TRAININGS, TrainingResult.from_json, "training"))

    @classmethod
    def resume(cls, path: Path) -> AccuracyFolder:
        """Read a study to go on with it; nobody else can write to it from then on.

        Raises
        ------
        InputError
            As `open`; if another process writes to it, or it cannot be written to.
        """
        folder = cls.open(path)
        try:
            folder._lock()
            if folder.torn:
                os.truncate(path / TRAININGS, folder._whole)
        except OSError as error:
            raise InputError(f"cannot write to the study at '{path}': {error.strerror}") from error
        return folder

    def append(self, result: TrainingResult) -> None:
        """Add a finished training, and return once it is safely on disk; raises StorageError."""
        with self._writing(TRAININGS):
            append_lines(self.path / TRAININGS, [asdict(result)])
        self._results[result.name] = result
        self.derive()

    def log(self, training: str, epoch: dict[str, Any]) -> None:
        """Add a line to the log: of an epoch that is trained again after a kill, the last line counts."""
        with self._writing(EPOCHS):
            append_lines(self.path / EPOCHS, [{"training": training, **epoch}])

    def update(self, **entries: Any) -> None:
        """Set entries of ``accuracy.json``, atomically; raises StorageError."""
        self.record |= entries
        with self._writing(RECORD):
            write_record(self.path / RECORD, self.record)

    def derive(self) -> None:
        """Write ``accuracy.csv`` anew; raises StorageError."""
        found = rows(self.results(), self.timings())
        with self._writing(RESULTS), replacing(self.path / RESULTS) as stream:
            writer = csv.DictWriter(stream, list(found[0]) if found else [], lineterminator="\n")
            writer.writeheader()
            writer.writerows(found)

    def results(self) -> list[TrainingResult]:
        """Return the finished trainings in the order in which they were recorded."""
        return list(self._results.values())

    def finished(self) -> set[str]:
        """Return the names of the finished trainings."""
        return set(self._results)

    def network_folder(self, training: str) -> Path:
        """Return where the network of a training is kept."""
        return self.path / NETWORKS / training

    def checkpoint(self, training: str) -> Path:
        """Return where the state of a training is kept until it is finished."""
        return self.path / f"checkpoint-{training}.pt"

    def speed(self) -> RunFolder | None:
        """Return the run that timed networks, if there is one."""
        path = self.path / SPEED
        return RunFolder.open(path) if (path / RUN).exists() else None

    def timings(self) -> dict[str, dict[str, Timing]]:
        """Return what was timed, by training and mode; only right answers have a time."""
        run = self.speed()
        found: dict[str, dict[str, Timing]] = {}
        for row in [] if run is None else run.frame().to_dict("records"):
            if row["status"] == "ok":
                # Its weights are in the folder of that name, wherever the study has been moved to.
                times = found.setdefault(Path(row["weights"]).parent.name, {})
                times[row["kernel"].removeprefix(_PREFIX)] = Timing(row["median_s"], row["ci_low_s"], row["ci_high_s"])
        return found

    def warnings(self) -> list[str]:
        """Return what a reader should know."""
        found = [str(warning) for warning in self.record.get("warnings", [])]
        if self.record.get("validate"):
            found.append("judged by a part of the training data (--validate): these are no test accuracies")
        if "finished" not in self.record:
            total = self.record.get("trainings", "?")
            found.append(
                f"the study is not complete ({len(self._results)} of {total} trainings); finish it with:"
                f" sparsebench accuracy --resume {self.path}"
            )
        found += self._losses
        if self.torn:
            found.append(f"the last line of {TRAININGS} is torn; its training does not count")
        run = self.speed()
        return found + ([] if run is None else [f"speed: {warning}" for warning in run.warnings()])

    def _lock(self) -> None:
        descriptor = lock_for_writing(self.path / TRAININGS)
        weakref.finalize(self, os.close, descriptor)

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"cannot write {error.filename or self.path / name}: {error.strerror}. All that was finished before is"
                f" kept; when that is mended, go on with: sparsebench accuracy --resume {self.path}"
            ) from error


def _require_plain(path: Path) -> None:
    for letter in ":;":
        if letter in str(path):
            raise InputError(
                f"folder '{path}' has a '{letter}' in it, which ends a part of a problem string; name another"
            )
