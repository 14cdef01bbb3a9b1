"""How a study begins, and how one that was interrupted goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparsebench import datasets
from sparsebench.accuracy import schema
from sparsebench.accuracy.folder import RECORD, AccuracyFolder
from sparsebench.bench.plan import circumstances, default_folder
from sparsebench.errors import InputError

# First: says which library is missing, and how to get it.
from sparsebench import train  # noqa: F401  # isort: skip
from sparsebench.accuracy.conduct import Plan


@dataclass(frozen=True, slots=True)
class Beginning:
    """A study that can be made."""

    loaded: schema.Loaded
    data: Path | None
    where: str | None
    plan: Plan

    def create(self, out: Path | None, argv: Sequence[str], *, time: bool, threads: int) -> AccuracyFolder:
        """Make its folder; raises InputError as `AccuracyFolder.create`."""
        import torch

        name = self.loaded.name
        record = circumstances(name, {name: self.loaded.text}, (), argv) | {
            "data": str(self.data.resolve()) if self.data else None,
            "where": self.where,
            "validate": self.plan.validate,
            "time": time,
            "threads": threads,
            "torch": torch.__version__,
            "trainings": len(self.plan.trainings),
            "notes": list(self.plan.dataset.notes),
            "samples": len(self.plan.dataset.y),
        }
        return AccuracyFolder.create(out or default_folder(f"accuracy-{name}"), record)


def begin(name_or_path: str, data: Path | None, where: str | None, *, validate: bool) -> Beginning:
    """Read suite and data, and expand them.

    Raises
    ------
    InputError
        If something in them is wrong.
    UnavailableError
        If a library is not installed.
    """
    loaded = schema.load(name_or_path)
    dataset = datasets.load(loaded.study.data, data)
    return Beginning(loaded, data, where, Plan.make(loaded.study, dataset, where, validate=validate))


def go_on(path: Path) -> tuple[Plan, AccuracyFolder]:
    """Return what an interrupted study does, and its folder, locked.

    Raises
    ------
    InputError
        As `begin`; if there is no such study, or its data has become another.
    """
    folder = AccuracyFolder.resume(path)
    record = folder.record
    ((name, text),) = record["suites"].items()
    loaded = schema.parse(name, text, str(path / RECORD))
    dataset = datasets.load(loaded.study.data, Path(record["data"]) if record["data"] else None)
    if len(dataset.y) != record["samples"]:
        raise InputError(
            f"the study at '{path}' was begun with {record['samples']} samples, data set '{dataset.name}' now has"
            f" {len(dataset.y)}: begin another"
        )
    return Plan.make(loaded.study, dataset, record["where"], validate=record["validate"]), folder
