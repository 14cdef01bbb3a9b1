"""What became of a training, and the columns of ``accuracy.csv``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sparsebench.nets.compile import MODES

Status = Literal["ok", "diverged", "wrong", "skipped"]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """One finished training.

    Attributes
    ----------
    name
        Of the training, and of its folder in ``networks``.
    status
        "diverged": its loss became NaN or infinite; "wrong": our kernels say something else than PyTorch; "skipped":
        not trained, since the network which it starts from is not ok.
    samples
        How many judged it.
    correct
        Which of them were right: bits, the first one first, as hexadecimal digits.
    nonzeros, weights
        Weights that may be non-zero, and all.
    reached
        By layer with weights, the share of its input that was not zero, over all that judged.
    train_s
        Seconds of training, those before a kill included.
    ties
        By mode, inputs whose label differs from PyTorch's but is a tie with it.
    """

    name: str
    split: str
    fold: str
    seed: int
    pattern: str
    density: float
    act_density: float
    start: str
    status: Status
    error: str = ""
    accuracy: float | None = None
    samples: int = 0
    correct: str = ""
    nonzeros: int = 0
    weights: int = 0
    reached: Mapping[str, float] = field(default_factory=dict)
    train_s: float | None = None
    epochs: int = 0
    ties: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> TrainingResult:
        """Read what `dataclasses.asdict` made.

        Raises
        ------
        ValueError
            If the status is not known, or the accuracy of an ok training is no share.
        TypeError
            If a key is missing or not known.
        """
        result = cls(**record)
        if result.status not in get_args(Status):
            raise ValueError(f"status '{result.status}' is not known")
        if result.status == "ok":
            right = result.accuracy
            if isinstance(right, bool) or not isinstance(right, int | float) or not 0 <= right <= 1:
                raise ValueError(f"accuracy is {right!r}; it must be a number from 0 to 1")
            hits = int(result.right().sum())
            if hits != round(right * result.samples):
                raise ValueError(f"{hits} of {result.samples} bits are set, which is no accuracy of {right}")
        return result

    def right(self) -> NDArray[np.bool_]:
        """Return for each sample whether it was right; raises ValueError if the bits are too few or no bits."""
        packed = np.frombuffer(bytes.fromhex(self.correct), np.uint8)
        if len(packed) != -(-self.samples // 8):
            raise ValueError(f"{8 * len(packed)} bits of 'correct' are not those of {self.samples} samples")
        return np.unpackbits(packed, count=self.samples).astype(np.bool_)

    @property
    def unit(self) -> tuple[str, int]:
        """What it shares with those that it can be compared with in pairs: fold and seed."""
        return self.fold, self.seed


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one call of a network, batch 1 on one core: the median and its 95 % interval."""

    median_s: float
    low_s: float
    high_s: float


# By name of a training and mode of a network.
Timings = Mapping[str, Mapping[str, Timing]]


def rows(results: Sequence[TrainingResult], timings: Timings) -> list[Row]:
    """Return the rows of ``accuracy.csv``, all with the same keys; what was not measured is None."""
    layers = dict.fromkeys(name for result in results for name in result.reached)
    return [_row(result, list(layers), timings.get(result.name, {})) for result in results]


def _row(result: TrainingResult, layers: Sequence[str], times: Mapping[str, Timing]) -> Row:
    plain = (
        "name split fold seed pattern density act_density start status error accuracy samples nonzeros weights"
        " train_s epochs"
    )
    row: Row = {name: getattr(result, name) for name in plain.split()}
    row |= {f"reached_{name}": result.reached.get(name) for name in layers}
    for mode in MODES:
        key = mode.replace("-", "_")
        timing = times.get(mode)
        row[f"ties_{key}"] = result.ties.get(mode)
        row[f"time_{key}_s"] = timing.median_s if timing else None
        row[f"time_{key}_low_s"] = timing.low_s if timing and math.isfinite(timing.low_s) else None
        row[f"time_{key}_high_s"] = timing.high_s if timing and math.isfinite(timing.high_s) else None
    return row
