"""Values for sources that store a pattern only."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from sparsebench.patterns.base import largest


def deal_values(stored: NDArray[np.bool_], seed: int) -> NDArray[np.float32]:
    """Draw dense weights of which magnitude pruning keeps exactly the stored positions.

    M * K standard normals are drawn; the nnz of largest magnitude go to the stored positions and the others to the
    rest, each in the order drawn (which, for independent draws, is a random one). This is synthetic, but consistent:
    it is a dense layer from which unstructured pruning at the file's density gives the file's pattern again, and
    from which every other pattern can be pruned to be compared with it. Magnitudes of neighbouring positions are
    independent otherwise, which in a trained layer they are not.

    The generator is seeded by `seed` and the pattern itself, so that a matrix has the same values whatever its file
    is called and in whichever format it comes.

    Parameters
    ----------
    stored
        bool [M, K].

    Returns
    -------
    float32 [M, K]; the smallest stored magnitude is strictly above the largest other one, and above 0.
    """
    pattern = zlib.crc32(np.packbits(stored).tobytes())
    drawn = np.random.default_rng([seed, *stored.shape, pattern]).standard_normal(stored.size, dtype=np.float32)
    magnitude = np.abs(drawn)
    nnz = int(np.count_nonzero(stored))
    top = largest(magnitude, nnz) if nnz else np.zeros(stored.size, np.bool_)
    others = drawn[~top]
    # Equal float32 magnitudes on both sides of the cut are likely in a large layer, and pruning would then choose
    # among them by position.
    bottom = np.abs(others).max(initial=0)
    floor = np.maximum(np.nextafter(bottom, np.float32(np.inf)), np.finfo(np.float32).tiny)
    kept = drawn[top]
    kept = np.copysign(np.maximum(magnitude[top], floor), kept)
    values = np.empty(stored.shape, np.float32)
    values[stored] = kept
    values[~stored] = others
    return values


# What deal_values holds at once per position: draws, magnitudes, their partition, both shares, values, masks.
BYTES_PER_POSITION = 4 + 4 + 4 + 4 + 4 + 4
