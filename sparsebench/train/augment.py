"""Changes of a batch that training should not mind: shifts, mirrors, noise."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F  # noqa: N812

from sparsebench.train.recipe import Recipe


def augment(x: Tensor, noise: Tensor | None, recipe: Recipe, generator: Generator) -> Tensor:
    """Return a batch [N, C, H, W] as the recipe changes it; features [N, F] stay as they are.

    Parameters
    ----------
    noise
        Energies of white noise, see `sparsebench.datasets.Dataset`; None where x are images.
    """
    if x.ndim != 4:
        return x
    if any(recipe.shift):
        x = _shifted(x, recipe.shift, generator)
    if recipe.flip:
        mirrored = torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5
        x = torch.where(mirrored, x.flip(3), x)
    if noise is not None and recipe.noise_db:
        x = _noisy(x, noise, recipe.noise_db, generator)
    return x


def _shifted(x: Tensor, most: tuple[int, int], generator: Generator) -> Tensor:
    """Shift each input by its own rows and columns; what comes in is the least of the batch: silence, black."""
    down, across = most
    padded = F.pad(x, (across, across, down, down), value=float(x.min()))
    N, _, height, width = x.shape
    rows = torch.randint(2 * down + 1, (N, 1), generator=generator) + torch.arange(height)
    columns = torch.randint(2 * across + 1, (N, 1), generator=generator) + torch.arange(width)
    own = torch.arange(N)[:, None, None]
    # Indices on both sides of the slice put the channels last.
    return padded[own, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def _noisy(x: Tensor, noise: Tensor, decibels: tuple[float, ...], generator: Generator) -> Tensor:
    """Add noise to recordings: powers of what is independent add."""
    most, least = decibels
    below = most + (least - most) * torch.rand(len(x), 1, 1, 1, generator=generator)
    drawn = noise[torch.randint(len(noise), (len(x),), generator=generator)]
    return torch.logaddexp(x, drawn - below * (math.log(10) / 10))
