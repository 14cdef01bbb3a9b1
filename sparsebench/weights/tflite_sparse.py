"""Decode TensorFlow Lite's sparse tensors.

A tensor of n axes, k of them cut into blocks, is a tree of n + k levels, in the order in which it was traversed: the
axes first (counted in blocks), then the axes inside a block. A level is dense (every node has the same number of
children) or compressed (`segments` say which children a node has, `indices` where on the axis they lie, as in CSR). The
values are the leaves in order. The format: the comments of SparsityParameters in TensorFlow Lite's schema.fbs, after
Kjolstad et al. 2017, "The Tensor Algebra Compiler".
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.weights.tflite_graph import Axis, Sparsity


def positions(shape: tuple[int, ...], sparsity: Sparsity, where: str) -> NDArray[np.int64]:
    """Return where the stored values lie in the dense tensor of this shape, int64 flat positions, in stored order.

    Raises
    ------
    InputError
        If the levels do not describe such a tensor: axes missing, segments that fall, indices out of range or out of
        order. `where` names the tensor.
    """
    sizes, strides = _levels(shape, sparsity, where)
    found = np.zeros(1, np.int64)
    for number, (level, size, stride) in enumerate(zip(sparsity.levels, sizes, strides, strict=True)):
        if level.segments is None:
            found = (found[:, None] + np.arange(size, dtype=np.int64) * stride).ravel()
        else:
            found = _compressed(found, level, size, stride, f"{where}: level {number}")
    return found


def _levels(shape: tuple[int, ...], sparsity: Sparsity, where: str) -> tuple[list[int], list[int]]:
    """Return how many positions each level has, and how far apart they are in the dense tensor."""
    axes, blocks = len(shape), len(sparsity.block_axes)
    order, levels = sparsity.order, sparsity.levels
    if len(order) != axes + blocks or len(levels) != axes + blocks:
        raise InputError(
            f"{where}: {len(levels)} levels in an order of {len(order)}; {axes} axes and {blocks} blocked ones need"
            f" {axes + blocks}"
        )
    if sorted(order[:axes]) != list(range(axes)) or sorted(order[axes:]) != list(range(axes, axes + blocks)):
        raise InputError(f"{where}: the traversal order {list(order)} does not name each axis, then each blocked one")
    if len(set(sparsity.block_axes)) != blocks or not all(0 <= axis < axes for axis in sparsity.block_axes):
        raise InputError(f"{where}: the block map {list(sparsity.block_axes)} names no {blocks} of {axes} axes")
    stride = [prod(shape[axis + 1 :]) for axis in range(axes)]
    block = dict.fromkeys(range(axes), 1)
    for place in range(axes, axes + blocks):
        axis, level = sparsity.block_axes[order[place] - axes], levels[place]
        if level.segments is not None:
            raise InputError(f"{where}: level {place}, inside the blocks, is compressed; it must be dense")
        if level.size < 1 or shape[axis] % level.size:
            raise InputError(f"{where}: blocks of {level.size} do not divide axis {axis} of {shape[axis]}")
        block[axis] = level.size
    sizes, strides = [], []
    for place, named in enumerate(order):
        axis = named if place < axes else sparsity.block_axes[named - axes]
        size = shape[axis] // block[axis] if place < axes else block[axis]
        if levels[place].segments is None and levels[place].size != size:
            raise InputError(f"{where}: level {place} has {levels[place].size} positions; axis {axis} has {size}")
        sizes.append(size)
        strides.append(stride[axis] * (block[axis] if place < axes else 1))
    return sizes, strides


def _compressed(parents: NDArray[np.int64], level: Axis, size: int, stride: int, where: str) -> NDArray[np.int64]:
    assert level.segments is not None and level.indices is not None
    segments, indices = level.segments.astype(np.int64), level.indices.astype(np.int64)
    if len(segments) != len(parents) + 1:
        raise InputError(f"{where}: {len(segments)} segments; {len(parents)} lists need {len(parents) + 1}")
    counts = np.diff(segments)
    if segments[0] != 0 or segments[-1] != len(indices) or counts.min(initial=0) < 0:
        raise InputError(
            f"{where}: the segments must rise from 0 to the {len(indices)} indices; they go from {segments[0]} to"
            f" {segments[-1]}{', and fall in between' if counts.min(initial=0) < 0 else ''}"
        )
    if len(indices):
        outside = (indices < 0) | (indices >= size)
        if outside.any():
            at = int(outside.argmax())
            raise InputError(f"{where}: index {at} is {indices[at]}; the axis has {size} positions")
        first = np.zeros(len(indices), np.bool_)
        first[segments[:-1][counts > 0]] = True
        falling = (np.diff(indices, prepend=-1) <= 0) & ~first
        if falling.any():
            at = int(falling.argmax())
            raise InputError(f"{where}: index {at} is {indices[at]} after {indices[at - 1]}; a list must rise")
    return np.repeat(parents, counts) + indices * stride
