"""k-winners in plain NumPy: what the native code of `sparsebench.k_winners` is checked against.

x, k and boost are as there. Every rank is sorted, stably, so that the lowest index comes first among equal ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def reference_global(x: Floats, k: int, boost: Floats | None = None) -> Floats:
    """Return x [..., size] with all but the k winners of each map set to zero."""
    return np.where(_wins(x, k, boost), x, np.float32(0))


def reference_global_lists(x: Floats, k: int, boost: Floats | None = None) -> tuple[NDArray[np.int32], Floats]:
    """Return indices int32 and values float32, both [..., k], of the winners of x [..., size], ascending."""
    indices, values = _lists(x, _wins(x, k, boost))
    return indices.astype(np.int32), values


def reference_local(x: Floats, k: int, boost: Floats | None = None) -> Floats:
    """Return x [..., C, P] with all but the k winners among the channels of each pixel set to zero."""
    return np.swapaxes(reference_global(np.swapaxes(x, -1, -2), k, boost), -1, -2)


def reference_local_lists(x: Floats, k: int, boost: Floats | None = None) -> tuple[NDArray[Any], Floats]:
    """Return channels (uint8, or uint16 if C > 256) and values of each pixel's winners, [..., P, k], ascending."""
    pixels = np.swapaxes(x, -1, -2)
    channels, values = _lists(pixels, _wins(pixels, k, boost))
    return channels.astype(np.uint8 if x.shape[-2] <= 256 else np.uint16), values


def _wins(x: Floats, k: int, boost: Floats | None) -> NDArray[np.bool_]:
    """Say which elements along the last axis are among the k of highest rank."""
    with np.errstate(all="ignore"):
        rank = x if boost is None else x * boost
    rank = np.where(np.isnan(rank), -np.inf, rank)
    order = np.argsort(-rank, axis=-1, kind="stable")
    wins = np.zeros(x.shape, np.bool_)
    np.put_along_axis(wins, order[..., :k], True, axis=-1)
    return wins


def _lists(x: Floats, wins: NDArray[np.bool_]) -> tuple[NDArray[np.intp], Floats]:
    """Gather positions and values along the last axis, of which equally many win everywhere."""
    shape = (*x.shape[:-1], int(wins.reshape(-1, x.shape[-1])[0].sum()))
    return np.nonzero(wins)[-1].reshape(shape), x[wins].reshape(shape)
