"""Runs and those of their cases that a report is about: what renderers need that the frame alone has not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sparsebench.report.frame import Record, combine, run_names, select, to_records
from sparsebench.results import CaseResult
from sparsebench.run_folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Loaded:
    """Runs, and a frame of their chosen cases.

    Attributes
    ----------
    frame
        Of `sparsebench.report.frame.combine`, perhaps fewer rows; its index counts the cases of all folders.
    """

    folders: tuple[RunFolder, ...]
    frame: pd.DataFrame

    @cached_property
    def results(self) -> list[CaseResult]:
        """The cases with their raw samples, one for each row of the frame."""
        every = [result for folder in self.folders for result in folder.results()]
        return [every[index] for index in self.frame.index]

    @cached_property
    def records(self) -> list[Record]:
        """The rows of the frame."""
        return to_records(self.frame)

    @cached_property
    def runs(self) -> dict[str, dict[str, Any]]:
        """What each ``run.json`` says, by what the frame calls the run; of a single run that is None."""
        names = run_names(self.folders) if len(self.folders) > 1 else [None]
        return {name: folder.run for name, folder in zip(names, self.folders, strict=True)}  # type: ignore[misc]


def load(folders: Sequence[RunFolder], where: str | None = None) -> Loaded:
    """Combine runs, and choose cases by an expression over the columns.

    Raises
    ------
    InputError
        For the reasons of `combine` and `select`.
    """
    frame = combine(folders)
    return Loaded(tuple(folders), frame if where is None else select(frame, where))
