"""A suite becomes trainings, in the order in which they are done; each can be told from its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import pandas as pd

from sparsebench.accuracy.schema import Split, Start, Study, TrainingsTable
from sparsebench.accuracy.variant import Variant, network_of
from sparsebench.datasets import Dataset
from sparsebench.datasets.base import folds
from sparsebench.errors import InputError
from sparsebench.nets import Sequential
from sparsebench.where import chosen


@dataclass(frozen=True, slots=True)
class Training:
    """One network to train.

    Attributes
    ----------
    fold
        The speaker who judges; "" for the official split.
    """

    split: Split
    fold: str
    seed: int
    variant: Variant
    start: Start = "static"

    @property
    def name(self) -> str:
        """What its folder is called: ``official-0-complementary-1-0.95``."""
        start = "" if self.start == "static" else f"-{self.start}"
        return re.sub(r"[^A-Za-z0-9.]+", "-", f"{self.fold or 'official'}-{self.seed}-{self.variant}{start}")

    @property
    def dense(self) -> Training:
        """The dense training of the same fold, seed and activations: what it is compared with, or pruned from."""
        return replace(self, variant=Variant(act_density=self.variant.act_density), start="static")

    def columns(self) -> dict[str, str | int | float]:
        """Return what ``--where`` and results call its parts."""
        return {
            "split": self.split,
            "fold": self.fold,
            "seed": self.seed,
            "pattern": self.variant.label,
            "density": self.variant.density,
            "act_density": self.variant.act_density,
            "start": self.start,
        }


def trainings(study: Study, dataset: Dataset, where: str | None = None) -> list[Training]:
    """Return the trainings of a study, dense ones before those that need them.

    Parameters
    ----------
    where
        A condition over `Training.columns`; the dense networks of what is left are kept.

    Raises
    ------
    InputError
        If a pattern cannot have a density, the data cannot be split so, or nothing is left.
    """
    asked = [training for table in study.trainings for training in _expand(table, study, dataset)]
    if where is not None:
        kept = chosen(pd.DataFrame([training.columns() for training in asked]), where)
        asked = [training for training, holds in zip(asked, kept, strict=True) if holds]
        if not asked:
            raise InputError(f"--where '{where}' holds for no training")
    found: dict[str, Training] = {}
    for training in asked:
        for one in (training.dense, training):
            if found.setdefault(one.name, one) != one:
                raise InputError(f"trainings {found[one.name]} and {one} would both be called '{one.name}'")
    # Seed by seed, so that one which is interrupted has whole rows to compare.
    return sorted(found.values(), key=lambda training: training.seed)


def _expand(table: TrainingsTable, study: Study, dataset: Dataset) -> Iterator[Training]:
    if "pruned" in table.start and study.fine_tune is None:
        raise InputError("start 'pruned' needs a table fine_tune, with epochs and lr")
    patterns = [pattern.build(N=1) for pattern in table.patterns]
    if any(pattern.name == "stored" for pattern in patterns):
        raise InputError("pattern 'stored' cannot be trained: it is what a file stores")
    for pattern, density in product(patterns, table.density):
        pattern.check(density)
    for seed, fold, act in product(table.seeds, folds(dataset, table.split), table.act_density):
        yield Training(table.split, fold, seed, Variant(act_density=act))
        for density, pattern, start in product(table.density, patterns, table.start):
            yield Training(table.split, fold, seed, Variant(pattern, density, act), start)


def networks(found: Iterable[Training], study: Study, base: Sequential, dataset: Dataset) -> dict[Variant, Sequential]:
    """Return the network of each variant, without weights.

    Raises
    ------
    InputError
        If the network does not take the data, or a variant cannot be made of it.
    """
    if base.input_shape != dataset.input_shape:
        raise InputError(
            f"network '{base.name}' takes {list(base.input_shape)}, data set '{dataset.name}' has"
            f" {list(dataset.input_shape)}"
        )
    classes = len(dataset.classes)
    variants = dict.fromkeys(training.variant for training in found)
    return {variant: network_of(base, variant, study.layers, classes) for variant in variants}
