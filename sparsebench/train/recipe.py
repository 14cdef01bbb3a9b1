"""How a network is trained: one recipe for all patterns of a study, so that none is tuned better than another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, NAdam, Optimizer, RMSprop
from torch.optim.lr_scheduler import OneCycleLR

from sparsebench.errors import InputError

OptimizerName = Literal["sgd", "adam", "adamw", "nadam", "rmsprop"]
Precision = Literal["f32", "bf16"]
OPTIMIZERS: dict[OptimizerName, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "nadam": NAdam,
    "rmsprop": RMSprop,
}
_WITH_MOMENTUM = ("sgd", "rmsprop")
# One pass over all parameters, on CPUs too.
_FUSED = ("sgd", "adam", "adamw")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Optimiser, schedule, augmentation.

    Attributes
    ----------
    lr
        The largest learning rate of a cycle that rises over the first `warmup` of the steps and then falls to nothing
        (Smith and Topin 2017, arXiv 1708.07120).
    weight_decay
        Of weights; biases and batch norms have none.
    momentum
        Of "sgd" and "rmsprop".
    precision
        "bf16" multiplies in bfloat16 where PyTorch's autocast thinks it safe; weights, batch norms before k-winners and
        all that is judged or exported are float32.
    boost
        Strength of k-winners' boosting at first; it falls to 0 over the first `boosted` of the epochs.
    shift
        Largest shift, in pixels or moments: (vertical, horizontal).
    flip
        Whether every second image is mirrored.
    noise_db
        White noise added to recordings, dB below their loudest: drawn evenly between these two; () adds none.
    """

    epochs: int
    batch: int = 64
    optimizer: OptimizerName = "adamw"
    lr: float = 2e-3
    weight_decay: float = 1e-2
    momentum: float = 0.9
    warmup: float = 0.3
    label_smoothing: float = 0.0
    precision: Precision = "f32"
    boost: float = 1.5
    boosted: float = 0.75
    shift: tuple[int, int] = (0, 0)
    flip: bool = False
    noise_db: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.optimizer not in get_args(OptimizerName):
            raise InputError(f"optimizer '{self.optimizer}' is not known; known: {', '.join(get_args(OptimizerName))}")
        if self.precision not in get_args(Precision):
            raise InputError(f"precision '{self.precision}' is not known; known: {', '.join(get_args(Precision))}")
        # Batch norms need two samples to tell how they vary.
        for name, least in (("epochs", 1), ("batch", 2)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        if len(self.noise_db) not in (0, 2):
            raise InputError(f"noise_db is {list(self.noise_db)}; it must be [most, least] dB below the loudest, or []")

    def boost_at(self, epoch: int) -> float:
        """Return the strength of boosting in an epoch, from 0; that of the last one is 0 whatever `boosted` says."""
        until = min(self.boosted * self.epochs, self.epochs - 1)
        return self.boost * max(0.0, 1 - epoch / until) if until > 0 else 0.0


def optimizer_for(module: nn.Module, recipe: Recipe) -> Optimizer:
    """Return the recipe's optimiser of all parameters of a module; of matrices alone with weight decay."""
    parameters = list(module.parameters())
    groups = [
        {"params": [one for one in parameters if one.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
    ]
    options: dict[str, Any] = {"lr": recipe.lr}
    if recipe.optimizer in _WITH_MOMENTUM:
        options["momentum"] = recipe.momentum
    if recipe.optimizer in _FUSED:
        options["fused"] = True
    return OPTIMIZERS[recipe.optimizer]([group for group in groups if group["params"]], **options)


def schedule_for(optimizer: Optimizer, recipe: Recipe, steps: int) -> OneCycleLR:
    """Return the schedule of the learning rate over so many steps in all."""
    return OneCycleLR(optimizer, recipe.lr, total_steps=steps, pct_start=recipe.warmup, cycle_momentum=False)


def seeded(seed: int) -> torch.Generator:
    """Return a generator of its own: no other code's draws change what a training does."""
    return torch.Generator().manual_seed(seed)
