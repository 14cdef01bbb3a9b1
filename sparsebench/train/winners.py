"""k-winners in training: the native code that networks run with, a straight gradient to winners, and boosting.

Ahmad and Scheinkman 2019, "How Can We Be So Dense?" (arXiv 1903.11257): units that win rarely are ranked higher, by
x * exp(-strength * duty cycle); what is passed on is x. Duty cycles, the share of late inputs in which a unit won, move
in training alone. Networks of `sparsebench.nets` rank without boosting, so its strength must have come down to 0
when training ends.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from sparsebench.k_winners import global_winners, local_winners
from sparsebench.patterns.base import share_of

# Inputs over which duty cycles are averaged.
PERIOD = 1000


class _Straight(torch.autograd.Function):
    """Winners pass their gradient on, the others none."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, k: int, boost: Tensor | None, local: bool) -> tuple[Tensor, Tensor]:
        array = x.detach().contiguous().numpy()
        factors = None if boost is None else boost.numpy()
        if local:
            kept = local_winners(array.reshape(*array.shape[:2], -1), k, factors)
        else:
            kept = global_winners(array.reshape(len(array), -1), k, factors)
        out = torch.from_numpy(kept.reshape(array.shape))
        # Of a winner that is zero nothing can be told, and it passes nothing on.
        won = out != 0
        ctx.save_for_backward(won)
        ctx.mark_non_differentiable(won)
        return out, won

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (won,) = ctx.saved_tensors
        return gradients[0] * won, None, None, None


class KWinners(nn.Module):
    """Keep the round(size * density) largest of the features [N, F], or of a map [N, C, H, W], of each input.

    Attributes
    ----------
    duty_cycle
        float32 [F], of a map [C]: the share of inputs, of a map of its pixels too, in which a unit won of late.
    boost_strength
        0 ranks by x itself; see `set_boost`.
    """

    duty_cycle: Tensor
    seen: Tensor
    local = False

    def __init__(self, units: int, density: float, boost_strength: float = 0.0) -> None:
        super().__init__()
        self.density = density
        self.boost_strength = boost_strength
        self.register_buffer("duty_cycle", torch.zeros(units))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Return x with all but its winners set to zero."""
        shape = x.shape[1:]
        # Autocast may have made it bfloat16, which native code does not rank.
        out, won = _Straight.apply(x.float(), self._winners(shape), self._boost(shape), self.local)
        if self.training:
            self._count(won)
        kept: Tensor = out
        return kept

    def _winners(self, shape: tuple[int, ...]) -> int:
        return share_of(self.density, math.prod(shape))

    def _boost(self, shape: tuple[int, ...]) -> Tensor | None:
        if not self.boost_strength:
            return None
        factors = torch.exp(-self.boost_strength * self.duty_cycle)
        # Every pixel of a map that competes as a whole is ranked by its channel's factor.
        return factors if self.local else factors.repeat_interleave(math.prod(shape) // len(factors))

    def _count(self, won: Tensor) -> None:
        share = won.flatten(2).float().mean((0, 2)) if won.ndim > 2 else won.float().mean(0)
        self.seen += len(won)
        self.duty_cycle.lerp_(share, min(1.0, len(won) / min(PERIOD, int(self.seen))))


class KWinners2d(KWinners):
    """Keep the round(C * density) largest among the channels of each pixel of a map [N, C, H, W]."""

    local = True

    def _winners(self, shape: tuple[int, ...]) -> int:
        return share_of(self.density, shape[0])


def set_boost(module: nn.Module, strength: float) -> None:
    """Set the strength of boosting of all k-winners in a module."""
    for part in module.modules():
        if isinstance(part, KWinners):
            part.boost_strength = strength
