"""Trains a module by a recipe, epoch by epoch, so that a kill costs little; and judges it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from sparsebench.datasets import Dataset, Parts
from sparsebench.train import checkpoint
from sparsebench.train.augment import augment
from sparsebench.train.recipe import Recipe, optimizer_for, schedule_for, seeded
from sparsebench.train.winners import KWinners, set_boost

# Seconds after which a checkpoint is worth what writing it takes.
CHECKPOINT_EVERY = 10.0
_JUDGED_AT_ONCE = 256


class DivergedError(ArithmeticError):
    """The loss of a training is no number any more."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A line of a training's log: means over the epoch, the rate at its end, seconds in all."""

    epoch: int
    loss: float
    accuracy: float
    lr: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Task:
    """Tensors to train on and to judge by, and what makes of x what a network reads: (x - mean) / scale."""

    x: Tensor
    y: Tensor
    judge_x: Tensor
    judge_y: Tensor
    mean: float
    scale: float
    noise: Tensor | None

    @classmethod
    def of(cls, dataset: Dataset, parts: Parts) -> Task:
        """Take the samples of both parts; mean and scale are those of what is trained on."""
        x = dataset.x[parts.train]
        return cls(
            torch.from_numpy(x),
            torch.from_numpy(dataset.y[parts.train]),
            torch.from_numpy(dataset.x[parts.judge]),
            torch.from_numpy(dataset.y[parts.judge]),
            float(x.mean(dtype=np.float64)),
            float(x.std(dtype=np.float64)) or 1.0,
            None if dataset.noise is None else torch.from_numpy(dataset.noise),
        )

    def standard(self, x: Tensor) -> Tensor:
        """Return what a network reads, in C order."""
        # Of a single channel any stride will do, and one that suggests channels-last makes PyTorch change layouts.
        out = torch.empty(x.shape)
        return torch.sub(x, self.mean, out=out).div_(self.scale)

    def judged(self) -> NDArray[np.float32]:
        """Return all that judges, as a network reads it."""
        found: NDArray[np.float32] = self.standard(self.judge_x).numpy()
        return found


@dataclass(frozen=True, slots=True)
class Judged:
    """What a module made of all that judges it.

    Attributes
    ----------
    right
        bool [n], whether each of all that judges was classified as what it is.
    logits
        float32 [n, classes].
    reached
        By layer with weights, the share of its input that was not zero.
    """

    accuracy: float
    right: NDArray[np.bool_]
    logits: NDArray[np.float32]
    reached: dict[str, float]


def fit(
    module: nn.Module,
    task: Task,
    recipe: Recipe,
    seed: int,
    *,
    identity: str = "",
    path: Path | None = None,
    every: float = CHECKPOINT_EVERY,
    log: Callable[[Epoch], None] = lambda epoch: None,
) -> float:
    """Train a module in place; returns the seconds that it took, those before a kill included.

    Parameters
    ----------
    seed
        Of the order of samples and of their augmentation.
    identity
        What is trained, in words: a checkpoint of anything else is refused.
    path
        Where a checkpoint is kept, and gone on from if one is there; None keeps none.
    every
        Seconds between checkpoints, which are written after an epoch.
    log
        Hears of each epoch.

    Raises
    ------
    DivergedError
        If the loss, or a weight at the end, is NaN or infinite.
    InputError
        If the checkpoint is of another training, or damaged.
    """
    generator = seeded(seed)
    optimizer = optimizer_for(module, recipe)
    steps = max(1, len(task.x) // recipe.batch)
    schedule = schedule_for(optimizer, recipe, steps * recipe.epochs)
    state = checkpoint.State(module, optimizer, schedule, generator)
    first, before = (0, 0.0) if path is None else checkpoint.resume(path, state, identity)
    _rank_in_full(module)
    began = kept = monotonic()
    for epoch in range(first, recipe.epochs):
        set_boost(module, recipe.boost_at(epoch))
        losses, right, seen = 0.0, 0, 0
        for x, y in _batches(task, recipe, generator):
            loss, hits = _step(module, x, y, recipe)
            if not math.isfinite(loss):
                raise DivergedError(f"the loss is {loss} in epoch {epoch + 1} of {recipe.epochs}")
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            losses, right, seen = losses + loss * len(x), right + hits, seen + len(x)
        spent = before + monotonic() - began
        log(Epoch(epoch + 1, losses / seen, right / seen, float(schedule.get_last_lr()[0]), spent))
        if path is not None and epoch + 1 < recipe.epochs and monotonic() - kept >= every:
            checkpoint.save(path, state, identity, epoch + 1, spent)
            kept = monotonic()
    set_boost(module, 0.0)
    if not all(bool(torch.isfinite(value).all()) for value in module.state_dict().values()):
        raise DivergedError("weights are not finite after the last step")
    return before + monotonic() - began


def _rank_in_full(module: nn.Module) -> None:
    """Have what k-winners rank made in float32 in any precision: of bfloat16's few values many would be equal."""
    for norm, following in pairwise(module.children()):
        if isinstance(following, KWinners):
            norm.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))


def _batches(task: Task, recipe: Recipe, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    samples = TensorDataset(task.x, task.y)
    # What is left over would be a batch of its own, perhaps of one, of which a batch norm cannot take the variance.
    batches = BatchSampler(
        RandomSampler(samples, generator=generator), recipe.batch, drop_last=len(samples) >= recipe.batch
    )
    for x, y in DataLoader(samples, sampler=batches, batch_size=None):
        yield task.standard(augment(x, task.noise, recipe, generator)), y


def _step(module: nn.Module, x: Tensor, y: Tensor, recipe: Recipe) -> tuple[float, int]:
    """Compute gradients of one batch; return its loss and how many it had right."""
    module.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
        logits: Tensor = module(x)
    loss = F.cross_entropy(logits.float(), y, label_smoothing=recipe.label_smoothing)
    loss.backward()
    return float(loss.detach()), int((logits.detach().argmax(1) == y).sum())


def judge(module: nn.Sequential, task: Task) -> Judged:
    """Classify all that judges, and count what reaches each layer with weights."""
    counts: dict[str, list[int]] = {}

    def count(name: str, x: Tensor) -> None:
        found = counts.setdefault(name, [0, 0])
        found[0] += int(torch.count_nonzero(x))
        found[1] += x.numel()

    module.eval()
    logits = []
    with torch.inference_mode():
        for x in torch.split(task.judge_x, _JUDGED_AT_ONCE):
            y = task.standard(x)
            for name, part in module.named_children():
                if isinstance(part, nn.Linear | nn.Conv2d):
                    count(name, y)
                y = part(y)
            logits.append(y)
    found = torch.cat(logits)
    right = (found.argmax(1) == task.judge_y).numpy()
    return Judged(
        float(right.mean()), right, found.numpy().copy(), {name: some / size for name, (some, size) in counts.items()}
    )
