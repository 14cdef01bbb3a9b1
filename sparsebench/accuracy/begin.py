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
from sparsebench.nets.toml_text import toml_text

# First: says which library is missing, and how to get it.
from sparsebench import train  # noqa: F401  # isort: skip
from sparsebench.accuracy.conduct import Plan


@dataclass(frozen=True, slots=True)
class Beginning:
    """A study that can be made."""

    loaded: schema.Loaded
    where: str | None
    plan: Plan

    def create(self, out: Path | None, argv: Sequence[str], *, time: bool, threads: int) -> AccuracyFolder:
        """Make its folder; raises InputError as `AccuracyFolder.create`."""
        import torch

        name = self.loaded.name
        folder = self.plan.dataset.folder
        record = circumstances(name, {name: self.loaded.text}, (), argv) | {
            "data": str(folder.resolve()) if folder else None,
            "data_sha256": self.plan.dataset.digest(),
            "network": toml_text(self.plan.base, self.plan.base.name),
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
    return Beginning(loaded, where, Plan.make(loaded.study, dataset, where, validate=validate))


def go_on(path: Path, data: Path | None) -> tuple[Plan, AccuracyFolder]:
    """Return what an interrupted study does, and its folder, locked.

    Parameters
    ----------
    data
        Where its data is now; None if still where it was.

    Raises
    ------
    InputError
        As `begin`; if there is no such study, or its data or network has become another.
    """
    folder = AccuracyFolder.resume(path)
    record = folder.record
    ((name, text),) = record["suites"].items()
    loaded = schema.parse(name, text, str(path / RECORD))
    if data is None and record["data"]:
        data = Path(record["data"])
    dataset = datasets.load(loaded.study.data, data)
    if dataset.digest() != record.get("data_sha256"):
        raise InputError(
            f"the study at '{path}' was begun on other data than '{dataset.folder or dataset.name}' holds now:"
            " name that by --data, or begin another"
        )
    plan = Plan.make(loaded.study, dataset, record["where"], validate=record["validate"])
    if toml_text(plan.base, plan.base.name) != record["network"]:
        raise InputError(
            f"the study at '{path}' was begun with another network than '{loaded.study.network}' is now: begin another"
        )
    if dataset.folder is not None and str(dataset.folder.resolve()) != record["data"]:
        folder.update(data=str(dataset.folder.resolve()))
    return plan, folder
