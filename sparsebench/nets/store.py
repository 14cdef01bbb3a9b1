"""A network's arrays and masks in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsebench.errors import InputError
from sparsebench.formats.base import read_entries, write_entries
from sparsebench.nets.base import Weighted
from sparsebench.nets.packing import pack
from sparsebench.nets.state import Layers, State, checked, frozen, stacked
from sparsebench.patterns import Complementary, Mask
from sparsebench.patterns.complementary import owned_positions

FORMAT = "network"
_HEADER = ("format", "version", "layers")


def save(layers: Layers, state: State, path: Path) -> None:
    """Write arrays and masks to `path` as compressed .npz; raises InputError if that fails.

    Weights are stored as they are shaped, so that ``sparsebench.weights`` reads them as ``FILE.npz!conv1.weight``. A
    mask is stored as ``conv1.owner``, int32 [groups, sets, K], where the pattern is complementary, else as bits in
    ``conv1.mask``. ``layers`` holds the layers themselves as text, by which `load` knows the network again.
    """
    entries: dict[str, NDArray[Any]] = {"layers": np.array(_described(layers)), **state.arrays}
    for name, masks in state.masks.items():
        owners = [mask.owner for mask in masks if mask.owner is not None]
        if owners:
            entries[f"{name}.owner"] = np.stack(owners)
        else:
            entries[f"{name}.mask"] = np.packbits(stacked(masks))
    write_entries(path, FORMAT, entries, compress=True)


def load(layers: Layers, path: Path) -> State:
    """Read what `save` wrote for the same layers.

    Raises
    ------
    InputError
        If the file cannot be read, is torn, or holds other layers or anything but sound weights of their patterns.
    """
    entries = read_entries(path)
    if entries["format"].item() != FORMAT:
        raise InputError(f"{path}: holds format '{entries['format']}', not '{FORMAT}'")
    try:
        _require_same(layers, entries)
        stored = {key: entries[key] for key in entries if key not in _HEADER}
        masks = {
            name: _stored_masks(name, layer, stored)
            for name, layer in layers.items()
            if isinstance(layer, Weighted) and layer.pattern is not None
        }
        state = State(frozen(checked(layers, stored)), masks)
        _require_sound(layers, state)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return state


def _described(layers: Layers) -> list[str]:
    return [f"{name}: {layer}" for name, layer in layers.items()]


def _require_same(layers: Layers, entries: Mapping[str, NDArray[Any]]) -> None:
    if "layers" not in entries or entries["layers"].dtype.kind != "U" or entries["layers"].ndim != 1:
        raise InputError("has no list of its layers; it was not written by sparsebench")
    theirs, ours = entries["layers"].tolist(), _described(layers)
    if len(theirs) != len(ours):
        raise InputError(f"holds weights of {len(theirs)} layers, the network has {len(ours)}")
    for place, (stored, own) in enumerate(zip(theirs, ours, strict=True)):
        if stored != own:
            raise InputError(f"layers[{place}] is {stored}, the network's is {own}")


def _stored_masks(name: str, layer: Weighted, stored: dict[str, NDArray[Any]]) -> tuple[Mask, ...]:
    """Take a layer's masks out of what a file stores."""
    key = f"{name}.owner" if isinstance(layer.pattern, Complementary) else f"{name}.mask"
    if key not in stored:
        raise InputError(f"array '{key}' is missing")
    array = stored.pop(key)
    groups, rows, cols = layer.matrix
    if isinstance(layer.pattern, Complementary):
        lanes, overlay = layer.pattern.lanes, layer.pattern.overlay(layer.density)
        _require_array(key, array, np.int32, (groups, -(-rows // (lanes * overlay)), cols))
        return tuple(Mask(owned_positions(owner, rows, lanes, overlay), owner) for owner in array)
    _require_array(key, array, np.uint8, (-(-layer.size // 8),))
    allowed = np.unpackbits(array, count=layer.size).astype(np.bool_).reshape(layer.matrix)
    return tuple(Mask(matrix) for matrix in allowed)


def _require_array(key: str, array: NDArray[Any], dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise InputError(f"'{key}' is {array.dtype} {list(array.shape)}; it must be {np.dtype(dtype)} {list(shape)}")


def _require_sound(layers: Layers, state: State) -> None:
    """Raise InputError unless every weight lies inside its mask, and every complementary mask is balanced."""
    for name in state.masks:
        layer = layers[name]
        assert isinstance(layer, Weighted)
        try:
            for weights in state.weights(name, layer):
                pack(layer, weights).validate()
        except InputError as error:
            raise InputError(f"'{name}.weight': {error}") from error
