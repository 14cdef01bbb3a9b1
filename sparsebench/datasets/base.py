"""What every data set is, and how it is parted into what is trained on and what judges."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
Indices = NDArray[np.intp]
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs and their classes.

    Attributes
    ----------
    x
        float32 [n, channels, height, width] or [n, features]: images, or log-mel energies [n, 1, bands, time] relative
        to the loudest of each recording, natural logarithm.
    y
        int64 [n], indices of `classes`.
    official
        [n], indices of `PARTS`: the split that the data set comes with. Its validation part is a part of what is
        trained on, unless a recipe is being chosen.
    groups
        [n], who spoke; empty where nobody did.
    noise
        float32 [m, *x.shape[1:]], log-mel energies of white noise relative to their mean; None for images.
    notes
        What was done to the files, as sentences: resampled, left out.
    folder
        Where it was read from; None if from no folder.
    """

    name: str
    classes: tuple[str, ...]
    x: Floats
    y: Labels
    official: NDArray[np.uint8]
    groups: tuple[str, ...] = ()
    noise: Floats | None = None
    notes: tuple[str, ...] = field(default=())
    folder: Path | None = None

    def __post_init__(self) -> None:
        sizes = {len(self.x), len(self.y), len(self.official), len(self.groups or self.x)}
        if sizes == {0}:
            raise InputError(f"data set '{self.name}' is empty")
        if len(sizes) > 1:
            raise InputError(f"data set '{self.name}': x, y, official and groups differ in length: {sorted(sizes)}")
        if not 0 <= self.y.min() <= self.y.max() < len(self.classes):
            raise InputError(
                f"data set '{self.name}' has labels {self.y.min()} to {self.y.max()} and {len(self.classes)} classes"
            )
        counts = np.bincount(self.y, minlength=len(self.classes))
        lacking = [name for name, count in zip(self.classes, counts, strict=True) if not count]
        if lacking:
            raise InputError(f"data set '{self.name}' has no sample of class {', '.join(map(repr, lacking))}")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.x.shape[1:]

    def digest(self) -> str:
        """Return SHA-256 of all that trainings depend on, as hexadecimal digits."""
        found = hashlib.sha256(repr((self.classes, self.groups, self.x.shape)).encode())
        for array in (self.x, self.y, self.official, self.noise):
            found.update(np.ascontiguousarray(() if array is None else array).data)
        return found.hexdigest()


class Parts(NamedTuple):
    """Indices of what is trained on, and of what judges; they have none in common."""

    train: Indices
    judge: Indices


def folds(dataset: Dataset, split: str) -> tuple[str, ...]:
    """Return the names of the folds of a split: each speaker, or "" of the official one.

    Raises
    ------
    InputError
        If the data set does not say of every sample who spoke, or fewer than three did.
    """
    if split == "official":
        return ("",)
    speakers = tuple(sorted(set(dataset.groups)))
    if "" in speakers:
        raise InputError(
            f"data set '{dataset.name}' has samples that nobody speaks; split 'leave-one-speaker-out' cannot have them"
        )
    # Choosing a recipe takes one speaker off those who are trained on.
    if len(speakers) < 3:
        raise InputError(
            f"data set '{dataset.name}' has {len(speakers)} speakers; split 'leave-one-speaker-out' needs three"
        )
    return speakers


def part(dataset: Dataset, fold: str = "", *, validate: bool = False) -> Parts:
    """Return what to train on and what judges it.

    Parameters
    ----------
    fold
        A speaker, whose samples judge; "" for the official split.
    validate
        For the choice of a recipe: the test samples are left alone, and a part of what would be trained on judges: the
        official validation part, or the next speaker.

    Raises
    ------
    InputError
        If there is no such speaker, or one of both is empty.
    """
    if not fold:
        judged = PARTS.index("validation" if validate else "test")
        trained = [PARTS.index("train")] if validate else [PARTS.index("train"), PARTS.index("validation")]
        train, judge = np.isin(dataset.official, trained), dataset.official == judged
    else:
        speakers = folds(dataset, "leave-one-speaker-out")
        if fold not in speakers:
            raise InputError(f"data set '{dataset.name}' has no speaker '{fold}'; there are {', '.join(speakers)}")
        spoken = np.array(dataset.groups)
        tested = spoken == fold
        judge = spoken == speakers[(speakers.index(fold) + 1) % len(speakers)] if validate else tested
        train = ~(judge | tested)
    found = Parts(np.flatnonzero(train), np.flatnonzero(judge))
    for what, indices in zip(("to train on", "to judge by"), found, strict=True):
        if not len(indices):
            raise InputError(f"data set '{dataset.name}' has no samples {what} in fold '{fold or 'official'}'")
    absent = sorted(set(range(len(dataset.classes))) - set(dataset.y[found.train].tolist()))
    if absent:
        names = ", ".join(repr(dataset.classes[label]) for label in absent)
        raise InputError(f"data set '{dataset.name}' has no sample of class {names} to train on")
    return found


def require_folder(folder: Path | None, name: str, how: str) -> Path:
    """Return the folder of a data set; raises InputError, which says how to get it, if it is none."""
    if folder is None:
        raise InputError(f"{name} is read from a folder of yours: name it by --data or $SPARSEBENCH_DATA. {how}")
    if not folder.is_dir():
        state = "is not a folder" if folder.exists() else "does not exist"
        raise InputError(f"{name}: '{folder}' {state}. {how}")
    return folder


def named(paths: Sequence[Path], most: int = 3) -> str:
    """Return names of files for a message, the first few of many."""
    shown = ", ".join(path.name for path in paths[:most])
    return shown if len(paths) <= most else f"{shown} and {len(paths) - most} more"
