"""Opens inputs, lays out tiles and packs lane groups for the compiled convolution (`pyx/conv.h`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sparsebench import isa
from sparsebench.convolution import Convolution
from sparsebench.formats.lane_groups import LaneGroups
from sparsebench.lane_plan import cache_bytes, prepare_groups
from sparsebench.memory import aligned_copy, aligned_empty
from sparsebench.tiling import MAX_KBLOCK, chunk_bounds, pieces_of, shared_vectors, threads_for, vector_floats, widths

if TYPE_CHECKING:
    from sparsebench.kernel import Plan
    from sparsebench.problem import Problem

# The widest tile in vectors, as `conv_tile` of conv.h has room for.
MOST_VECTORS = 3


@dataclass(frozen=True, eq=False, slots=True)
class Opening:
    """Where the opened input keeps the pixels of x, and where each tap finds them.

    Attributes
    ----------
    rows, pitch
        Rows of one channel of a phase, and floats from one row to the next.
    phases
        int64 [phases, 7]: the fields of `conv_phase`.
    taps
        int32 [channels, kh, kw]: offset of each tap from the place of an output pixel.
    floats
        Size of the opened input, what a tile reads beyond the last pixel included.
    """

    stride: tuple[int, int]
    rows: int
    pitch: int
    phases: NDArray[np.int64]
    taps: NDArray[np.int32]
    floats: int


def _rows_and_pitch(conv: Convolution) -> tuple[int, int]:
    """Rows of a phase's channel and their distance.

    At stride 1 what pads the end of a row (a channel) pads the start of the next one too; but a row of the output needs
    as many places as it has pixels.
    """
    (down, right), (vertical, horizontal) = conv.window.stride, conv.window.padding
    if (down, right) == (1, 1):
        return conv.height + vertical, max(conv.width + horizontal, conv.output[1])
    return -(-(conv.height + 2 * vertical) // down), -(-(conv.width + 2 * horizontal) // right)


def open_geometry(conv: Convolution, beyond: int) -> Opening:
    """Lay out the opened input; `beyond` floats are read after the last place at most."""
    window = conv.window
    size, margin, stride = (conv.height, conv.width), window.padding, window.stride
    rows, pitch = _rows_and_pitch(conv)
    down, right = (np.arange(window.kernel[a]) * window.dilation[a] for a in (0, 1))
    needed = sorted({(int(i) % stride[0], int(j) % stride[1]) for i in down for j in right})
    # What follows the last channel of a phase: its lower border, where channels share it.
    area = conv.channels * rows * pitch + margin[0] * pitch + margin[1]
    phases = []
    for number, phase in enumerate(needed):
        first = [max(0, -(-(margin[a] - phase[a]) // stride[a])) for a in (0, 1)]
        last = [-(-(size[a] + margin[a] - phase[a]) // stride[a]) for a in (0, 1)]
        corner = (phase[0] - margin[0], phase[1] - margin[1])
        phases.append((number * area, *corner, first[0], last[0], first[1], last[1]))
    start = {phase: number * area for number, phase in enumerate(needed)}
    taps = np.empty((conv.channels, *window.kernel), np.int64)
    for i, y in enumerate(down):
        for j, x in enumerate(right):
            phase = (int(y) % stride[0], int(x) % stride[1])
            taps[:, i, j] = start[phase] + y // stride[0] * pitch + x // stride[1]
    taps += (np.arange(conv.channels) * rows * pitch)[:, None, None]
    floats = int(taps.max()) + beyond
    return Opening(
        stride,
        rows,
        pitch,
        np.array(phases, np.int64),
        taps.astype(np.int32),
        max(floats, len(needed) * area),
    )


@dataclass(frozen=True, eq=False, slots=True)
class ConvTiling:
    """Strips of rows of the output, tiles over the places of one strip, and how threads share the work.

    Attributes
    ----------
    strip
        The convolution of one strip: as high as its rows of x, above and below of which nothing is padded.
    starts
        int64 [strips]: first row of the output of each; the last may begin before its neighbour ends.
    tiles
        int32 [tiles, 2 + 3 * MOST_VECTORS]: the fields of `conv_tile`.
    widths
        Vectors that tiles have.
    ahead
        Channels of x whose rows are prefetched before they are opened.
    """

    vlen: int
    strip: Convolution
    starts: NDArray[np.int64]
    tiles: NDArray[np.int32]
    widths: tuple[int, ...]
    chunks: NDArray[np.int64]
    threads: int
    useful: float
    ahead: int

    def describe(self, groups: LaneGroups) -> str:
        """One line for the result: tile, share of places that are pixels, threads."""
        return (
            f"{min(groups.lanes, 8)}x{max(self.widths)} vectors of {self.vlen}, {self.useful:.0%} of places are pixels,"
            f" {self.threads} thread{'s' if self.threads > 1 else ''}"
        )


def places_of(conv: Convolution, pitch: int) -> int:
    """Places from the first pixel of the output to the last, rows `pitch` apart."""
    height, width = conv.output
    return (height - 1) * pitch + width


def tiles_of(conv: Convolution, pitch: int, vlen: int, most: int) -> NDArray[np.int32]:
    """Cut the places into tiles of at most `most` vectors, and say which of their places are pixels."""
    places = places_of(conv, pitch)
    found = []
    at = 0
    for vectors in widths(places, vlen, most):
        place = np.arange(at, at + vectors * vlen).reshape(vectors, vlen)
        inside = (place < places) & (place % pitch < conv.output[1])
        pixel = place // pitch * conv.output[1] + place % pitch
        fields = np.zeros((3, MOST_VECTORS), np.int64)
        fields[0, :vectors] = np.where(inside, pixel, conv.pixels).min(axis=1)
        fields[1, :vectors] = inside.sum(axis=1)
        fields[2, :vectors] = (inside.astype(np.int64) << np.arange(vlen)).sum(axis=1)
        found.append([at, vectors, *fields.ravel()])
        at += vectors * vlen
    return aligned_copy(np.array(found), np.int32)


def tiles_of_pair(places: int, vlen: int, most: int) -> NDArray[np.int32]:
    """Cut the places of two rows into tiles; whole vectors of them are stored, whatever are pixels."""
    found = []
    at = 0
    for vectors in widths(places, vlen, most):
        fields = np.zeros((3, MOST_VECTORS), np.int64)
        fields[0] = at + np.arange(MOST_VECTORS) * vlen
        fields[1] = vlen
        found.append([at, vectors, *fields.ravel()])
        at += vectors * vlen
    return aligned_copy(np.array(found), np.int32)


def supports_conv(problem: Problem, lanes: int) -> str | None:
    """Return why lane groups of `lanes` filters cannot take the problem's convolution, or None."""
    conv = problem.conv
    assert conv is not None
    if conv.taps > MAX_KBLOCK:
        return f"filters have {conv.taps:,} taps; the packed layout numbers at most {MAX_KBLOCK:,}"
    if problem.M // conv.groups % lanes and conv.groups > 1:
        return f"lane groups of {lanes} filters would reach across groups of {problem.M // conv.groups}"
    return None


def _tap_offsets(groups: LaneGroups, opening: Opening, conv: Convolution, M: int) -> NDArray[np.int32]:
    """Offset of each slot: its tap, in the channels of its filters' own group."""
    own = opening.taps.reshape(conv.groups, -1)
    group_of = groups.row // (M // conv.groups)
    slots = np.diff(groups.start)
    found = own[np.repeat(group_of, slots), groups.index[: groups.start[-1]]]
    # The packed arrays hold one slot more than is used; see `assemble`.
    return aligned_copy(np.append(found, 0), np.int32)


def prepare_conv(
    kernel: str,
    pack: Callable[[int], LaneGroups],
    lanes: int,
    problem: Problem,
    threads: int,
    bias: NDArray[np.float32] | None = None,
    relu: bool = False,
    winners: int = 0,
) -> Plan:
    """Build a compiled convolution; `pack` makes lane groups for a block of K, of all taps here.

    A pointwise layer without bias is the product of a matrix with each sample, and is planned as one.

    Parameters
    ----------
    bias, relu
        float32 [M] added to each filter's map, and whether negative results become zero.
    winners
        0, or up to `most_winners`: only so many channels of each pixel are kept, the largest, and maps are max-pooled
        by 2 x 2, so that Y is [N, M, H'/2, W'/2].
    """
    conv = problem.conv
    assert conv is not None
    if conv.pointwise and bias is None and not relu and not winners:
        return prepare_groups(kernel, pack, lanes, problem, threads)
    engine = isa.module("conv_engine", isa.level_of(kernel))
    groups = pack(conv.taps)
    tiling = conv_tiling(conv, groups, problem.N, engine.VECTOR_FLOATS, threads, in_pairs=winners > 0)
    last_pair = (tiling.strip.output[0] - 2) * _rows_and_pitch(tiling.strip)[1] if winners else 0
    opening = open_geometry(tiling.strip, last_pair + int(tiling.tiles[-1, 0]) + MOST_VECTORS * tiling.vlen)
    height, width = conv.output
    y_shape = (problem.N, problem.M, height // 2, width // 2) if winners else problem.y_shape
    start_values = aligned_empty(problem.M + 16)
    start_values[:] = 0
    if bias is not None:
        start_values[: problem.M] = bias
    offsets = _tap_offsets(groups, opening, conv, problem.M)
    plan: Plan = engine.ConvPlan(
        groups, opening, offsets, tiling, problem.x_shape, y_shape, conv, start_values, relu, winners
    )
    return plan


def most_winners(level: str) -> int:
    """Return how many winners of a pixel a convolution can choose at once; see `prepare_conv`."""
    most: int = isa.module("conv_engine", level).MOST_WINNERS
    return most


def conv_tiling(
    conv: Convolution, groups: LaneGroups, samples: int, level_vlen: int, threads: int, *, in_pairs: bool = False
) -> ConvTiling:
    """Choose strips, vector length, tiles and threads; `in_pairs`: tiles are of two rows, and store whole vectors."""
    used = threads_for(groups, places_of(conv, _rows_and_pitch(conv)[1]), samples, threads)
    starts, rows = strips_of(conv, samples, used, 2 if in_pairs else 1)
    strip = strip_of(conv, rows)
    pitch = _rows_and_pitch(strip)[1]
    vlen = level_vlen if in_pairs else vector_floats(places_of(strip, pitch), level_vlen)
    most = min(MOST_VECTORS, shared_vectors(level_vlen))
    tiles = tiles_of_pair(pitch + conv.output[1], vlen, most) if in_pairs else tiles_of(strip, pitch, vlen, most)
    # Pairs are not cut by lane groups: all channels of a pixel compete.
    pieces = 1 if in_pairs else min(groups.groups, pieces_of(used, samples * len(starts)))
    useful = (2 * conv.output[1] if in_pairs else strip.pixels) / (int(tiles[:, 1].sum()) * vlen)
    return ConvTiling(
        vlen,
        strip,
        starts,
        tiles,
        tuple(sorted({int(count) for count in tiles[:, 1]})),
        chunk_bounds(groups, pieces),
        min(used, samples * len(starts) * pieces),
        useful,
        # Rows of a strip are too few for hardware prefetching: from beyond L2, x arrives two to three times as late.
        2 if cache_bytes().l2 < 4 * samples * conv.channels * conv.height * conv.width else 0,
    )


def strip_of(conv: Convolution, rows: int) -> Convolution:
    """Return the convolution that gives `rows` rows of the output from the rows of x that they need."""
    window = conv.window
    height = (rows - 1) * window.stride[0] + (window.kernel[0] - 1) * window.dilation[0] + 1
    return replace(conv, height=height, window=replace(window, padding=(0, window.padding[1])))


def strips_of(conv: Convolution, samples: int, threads: int, step: int) -> tuple[NDArray[np.int64], int]:
    """Cut the output's rows, `step` at a time, into strips; returns where they start, int64, and rows of each.

    The opened input of a strip fits into half of L2, so that it is written and read there: opened as a whole, 64 maps
    of 56 x 56 took as long as half of their products. Threads that have no samples of their own get strips.
    """
    height = conv.output[0] // step
    strips = 1
    while 4 * open_geometry(strip_of(conv, -(-height // strips) * step), 0).floats > cache_bytes().l2 // 2:
        if strips == height:
            break
        strips += 1
    while strips < height and samples * strips % threads and samples * strips < 4 * threads:
        strips += 1
    # Strips of equal height compute nothing twice.
    even = next((n for n in range(strips, 2 * strips) if height % n == 0 and samples * n % threads == 0), strips)
    rows = -(-height // even)
    starts = np.minimum(np.arange(-(-height // rows)) * rows, height - rows) * step
    return starts.astype(np.int64), rows * step
