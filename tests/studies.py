"""Studies made of given results, for tests of their folder and reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsebench.accuracy.results import TrainingResult

RECORD: dict[str, Any] = {
    "name": "speech",
    "sparsebench": "0.1.0",
    "argv": ["sparsebench", "accuracy", "speech"],
    "started": "2026-11-27T14:45:47+00:00",
    "suites": {"speech": 'title = "First <look>"'},
    "machine": {"model": "Some <CPU>", "cores": 2},
    "conditions": {"before": {}},
    "warnings": [],
    "torch": "2.13.0",
    "trainings": 8,
}


def trained(
    pattern: str = "dense",
    accuracy: float = 0.9,
    *,
    fold: str = "",
    seed: int = 0,
    act: float = 1.0,
    start: str = "static",
    status: str = "ok",
    samples: int = 200,
    **values: Any,
) -> TrainingResult:
    density = 1.0 if pattern == "dense" else 0.05
    right = np.arange(samples) < round(accuracy * samples)
    given: dict[str, Any] = {
        "accuracy": float(right.mean()),
        "samples": samples,
        "correct": np.packbits(right).tobytes().hex(),
        "nonzeros": 100,
        "weights": 2000,
        "reached": {"conv1": 1.0, "linear1": 0.3 if act < 1 else 0.6},
        "train_s": 12.5,
        "epochs": 3,
        "ties": {"dense": 0, "sparse-dense": 1, "sparse-sparse": 0},
    }
    if status != "ok":
        given = {"error": "the loss is nan"}
    return TrainingResult(
        name=f"{fold or 'official'}-{seed}-{pattern.replace('/', '-')}-{act:g}-{start}",
        split="leave-one-speaker-out" if fold else "official",
        fold=fold,
        seed=seed,
        pattern=pattern,
        density=density,
        act_density=act,
        start=start,
        status=status,  # type: ignore[arg-type]
        **(given | values),
    )


def study(folds: Sequence[str] = ("ann", "bob", "cy")) -> list[TrainingResult]:
    """Return a study in which complementary weights lose nothing, large blocks lose ten points, pruning nothing."""
    found = []
    for number, fold in enumerate(folds):
        level = 0.9 - 0.02 * number
        for act in (1.0, 0.12):
            found += [
                trained("dense", level, fold=fold, act=act),
                trained("unstructured", level - 0.01, fold=fold, act=act),
                trained("complementary/1", level - 0.01, fold=fold, act=act),
                trained("block/4x4", level - 0.03, fold=fold, act=act),
                trained("block/16x16", level - 0.1, fold=fold, act=act),
            ]
        found.append(trained("complementary/1", level - 0.01, fold=fold, start="pruned"))
    return found
