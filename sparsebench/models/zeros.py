"""Where a weight matrix is zero, and which pattern its zeros already follow.

A pattern's packing efficiency is nnz / values stored: what share of the values that a format of this pattern has to
store, to hold all non-zeros, are non-zeros. By pattern, W [M, K] being stored as it is, no row or column moved:

- n:m: of every m consecutive inputs of a row, n are stored, n being the most that any has. In a convolution also along
  the channels of one tap, which is how hardware that has it reads them; the better counts.
- block/RxC: every R x C block of the grid from the first row and column that has a non-zero, its padding too.
- rows, columns: every row, or column, that has a non-zero, whole: what is left when filters or channels are pruned.
- complementary/L: L consecutive rows (a lane group) share their inputs, and lane groups that have no input in common
  share an overlay of K inputs x L values. Which do is decided greedily, first fit, in the order of the rows and from
  the largest group down; the fewer overlays count. The fewest possible are a colouring problem, so that there may be a
  better packing than the one found. The idea of the overlay: Hunter, Spracklen and Ahmad 2021, arXiv 2112.13896.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsebench.models.layer import Layer
from sparsebench.patterns.complementary import LANES

BLOCKS = ((1, 4), (1, 8), (4, 1), (8, 1), (16, 1), (2, 2), (4, 4), (8, 8), (16, 16))
GROUPS = (4, 8, 16)
# From here on a pattern is what the zeros follow, and not only what they could be packed into.
EXACT = 0.99
# Of 64 inputs: mostly enough to see that unstructured groups have one in common, without looking at all of K.
_FIRST_WORDS = 4


@dataclass(frozen=True, slots=True)
class Fit:
    """How well the non-zeros pack into one pattern.

    Attributes
    ----------
    pattern
        Its label; of blocks and complementary ones as in problem strings.
    units, of
        Blocks, rows or columns that are stored, of all; overlays, of as many lane groups; n of m.
    efficiency
        nnz / values stored, in (0, 1].
    exact
        Whether this is the pattern of the zeros: nothing but non-zeros is stored, or hardly anything (99 %), and less
        than everything is.
    """

    pattern: str
    units: int
    of: int
    efficiency: float
    exact: bool


@dataclass(frozen=True, slots=True)
class Zeros:
    """The zeros of one W [M, K].

    Attributes
    ----------
    size, nnz
        Numbers of weights and of those that are not zero.
    rows
        The smallest, the median and the largest number of non-zeros in a row.
    fits
        The patterns that were tried, of a matrix that has zeros.
    """

    size: int
    nnz: int
    rows: tuple[int, float, int]
    fits: tuple[Fit, ...]

    @property
    def share(self) -> float:
        """Zeros / weights."""
        return 1 - self.nnz / self.size

    @property
    def best(self) -> Fit | None:
        """The pattern that stores the fewest values; None where nothing was tried."""
        return max(self.fits, key=lambda fit: fit.efficiency, default=None)

    @property
    def pattern(self) -> str:
        """What the zeros follow: the label of the narrowest pattern that is exact, "unstructured", or "dense"."""
        if not self.nnz:
            return "all zero"
        if not self.fits:
            return "dense"
        return next((fit.pattern for fit in sorted(self.fits, key=_breadth) if fit.exact), "unstructured")


def study(layers: Iterable[Layer]) -> list[Zeros]:
    """Read the weights of layers and find their zeros; a tensor that several layers use is read once.

    Raises
    ------
    InputError
        If weights cannot be read.
    """
    known: dict[str, Zeros] = {}
    found = []
    for layer in layers:
        if layer.address not in known:
            known[layer.address] = find(layer.weights(), prod(layer.shape[2:]))
        found.append(known[layer.address])
    return found


def find(values: NDArray[np.floating], taps: int = 1) -> Zeros:
    """Count the zeros of W [M, K], and try the patterns on them where at least 1 % are.

    Parameters
    ----------
    taps
        kh * kw of a convolution, whose K is in the order (in, kh, kw).
    """
    mask = values != 0
    counts = np.count_nonzero(mask, axis=1)
    nnz, size = int(counts.sum()), mask.size
    rows = (int(counts.min()), float(np.median(counts)), int(counts.max()))
    if nnz == 0 or nnz > EXACT * size:
        return Zeros(size, nnz, rows, ())
    fits = [lines(mask, axis) for axis in (0, 1)]
    fits += [n_of_m(mask, group, taps) for group in GROUPS]
    fits += [block(mask, *sides) for sides in BLOCKS]
    fits += [complementary(mask, lanes) for lanes in LANES]
    return Zeros(size, nnz, rows, tuple(fits))


def lines(mask: NDArray[np.bool_], axis: int) -> Fit:
    """Try whole rows (axis 0) or columns (axis 1) of a mask [M, K]; see the module."""
    stored = int(np.count_nonzero(mask.any(axis=1 - axis)))
    efficiency = int(np.count_nonzero(mask)) / (stored * mask.shape[1 - axis])
    of = mask.shape[axis]
    return Fit("columns" if axis else "rows", stored, of, efficiency, stored < of and efficiency >= EXACT)


def n_of_m(mask: NDArray[np.bool_], m: int, taps: int = 1) -> Fit:
    """Try n:m on a mask [M, K]; see the module."""
    orders = [mask]
    if taps > 1:
        rows, cols = mask.shape
        by_tap = mask.reshape(rows, cols // taps, taps).transpose(0, 2, 1)
        orders.append(by_tap.reshape(rows * taps, cols // taps))
    return max((_n_of_m(order, m) for order in orders), key=lambda fit: fit.efficiency)


def _n_of_m(mask: NDArray[np.bool_], m: int) -> Fit:
    rows, cols = mask.shape
    counts = mask.view(np.uint8)
    for _ in range(m.bit_length() - 1):
        counts = _halved(counts, 1, np.add)
    n = int(counts.max())
    # The last inputs of a row may be fewer than n.
    stored = rows * int(np.minimum(np.minimum(m, cols - np.arange(0, cols, m)), n).sum())
    efficiency = int(np.count_nonzero(mask)) / stored
    return Fit(f"{n}:{m}", n, m, efficiency, n < m and efficiency >= EXACT)


def block(mask: NDArray[np.bool_], rows: int, cols: int) -> Fit:
    """Try blocks of `rows` x `cols` on a mask [M, K]; see the module."""
    grid = _cells(mask, rows, cols)
    stored = int(np.count_nonzero(grid))
    efficiency = int(np.count_nonzero(mask)) / (stored * rows * cols)
    return Fit(f"block/{rows}x{cols}", stored, grid.size, efficiency, stored < grid.size and efficiency >= EXACT)


def complementary(mask: NDArray[np.bool_], lanes: int) -> Fit:
    """Try lane groups of `lanes` rows that share overlays on a mask [M, K]; see the module.

    It is exact where the lane groups' lists hold hardly a zero, overlays are as few as these lists allow, and two
    groups share one on average: the last overlay may then have room left, which `efficiency` counts against it.
    """
    rows, cols = mask.shape
    used = _cells(mask, lanes, 1)
    counts = np.count_nonzero(used, axis=1)
    groups = len(used)
    nnz, slots = int(np.count_nonzero(mask)), int(counts.sum())
    fewest = -(-slots // cols)
    overlays = _overlays(used, counts, np.arange(groups))
    # Where no two groups could share, or all did that can, another order finds nothing better.
    if fewest < overlays < np.count_nonzero(counts):
        overlays = min(overlays, _overlays(used, counts, np.argsort(-counts, kind="stable")))
    # Rows that a last group does not have are no zeros.
    full = slots * lanes - int(counts[-1]) * (groups * lanes - rows)
    exact = nnz >= EXACT * full and overlays <= fewest and overlays <= -(-groups // 2) < groups
    return Fit(f"complementary/{lanes}", overlays, groups, nnz / (overlays * cols * lanes), exact)


def _overlays(used: NDArray[np.bool_], counts: NDArray[np.integer], order: NDArray[np.integer]) -> int:
    """Put each group into the first overlay in which all its inputs are free; return how many overlays that takes."""
    width = -(-used.shape[1] // 64)
    packed = np.packbits(used, axis=1)
    words = np.zeros((len(used), width), np.uint64)
    words.view(np.uint8)[:, : packed.shape[1]] = packed
    taken = np.zeros_like(words)
    # The first words again, one row each: most overlays are found to be full there, all of them at once.
    first = np.zeros((min(_FIRST_WORDS, width), len(used)), np.uint64)
    overlays = 0
    for group in order:
        if not counts[group]:
            continue
        common = np.zeros(overlays, np.uint64)
        for row, word in zip(first, words[group], strict=False):
            common |= row[:overlays] & word
        room = np.flatnonzero(common == 0)
        free = room[~(taken[room] & words[group]).any(axis=1)]
        chosen = int(free[0]) if len(free) else overlays
        overlays += chosen == overlays
        taken[chosen] |= words[group]
        first[:, chosen] |= words[group, : len(first)]
    return overlays


def _cells(mask: NDArray[np.bool_], rows: int, cols: int) -> NDArray[np.bool_]:
    """Return which cells of `rows` x `cols`, both powers of two, have a True."""
    for axis, side in ((0, rows), (1, cols)):
        for _ in range(side.bit_length() - 1):
            mask = _halved(mask, axis, np.logical_or)
    return mask


def _halved(array: NDArray[Any], axis: int, join: np.ufunc) -> NDArray[Any]:
    """Join each two neighbours along an axis; a last one without a neighbour stays."""
    along = array if axis else array.T
    even, odd = along[:, ::2], along[:, 1::2]
    joined = even.copy()
    joined[:, : odd.shape[1]] = join(even[:, : odd.shape[1]], odd)
    return joined if axis else joined.T


def _breadth(fit: Fit) -> tuple[int, int]:
    """Order the patterns from the narrowest: whole lines, wide lane groups, large blocks, what single rows follow."""
    kind, _, sides = fit.pattern.partition("/")
    if kind in ("rows", "columns"):
        return 0, fit.units
    if kind == "complementary" and sides != "1":
        return 1, -int(sides)
    if kind == "block":
        rows, cols = sides.split("x")
        return 2, -int(rows) * int(cols)
    return (3, 0) if kind == "complementary" else (4, fit.units)
