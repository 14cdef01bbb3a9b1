"""Prune a model by magnitude: which layers can take a pattern, their weights afterwards, and the same packed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsebench import patterns
from sparsebench.errors import InputError
from sparsebench.formats import BlockSparse, Complementary, Csr, Format
from sparsebench.models.layer import Layer
from sparsebench.models.problems import Combination
from sparsebench.patterns import Kept, Mask, kept

INDEX = "layers.json"


@dataclass(frozen=True, slots=True, eq=False)
class Pruned:
    """What became of one weight tensor.

    Attributes
    ----------
    layers
        All that use it.
    mask
        None where it stays dense, `reason` says why.
    """

    layers: tuple[Layer, ...]
    mask: Mask | None = None
    kept: Kept | None = None
    reason: str = ""

    @property
    def first(self) -> Layer:
        """The first layer that uses it."""
        return self.layers[0]

    @property
    def density(self) -> float:
        """The share of positions that are left."""
        return 1.0 if self.mask is None else self.mask.nnz / self.first.size

    def weights(self) -> NDArray[np.float32]:
        """Return W [M, K] as it is afterwards."""
        dense = self.first.weights()
        return dense if self.mask is None else np.where(self.mask.allowed, dense, np.float32(0))


def prune(
    layers: Sequence[Layer], taken: Sequence[Layer], wanted: Combination, dense: Mapping[str, str]
) -> list[Pruned]:
    """Choose what every weight tensor keeps, each once, in the order in which the model uses them.

    Parameters
    ----------
    taken
        The layers to prune; all others stay dense.
    dense
        Reasons why a tensor must stay as it is, by its layers' address.

    Raises
    ------
    InputError
        If no tensor can be pruned so, or weights are bad.
    """
    if wanted.pattern.name == "stored":
        raise InputError("pattern 'stored' keeps what a file has: it prunes nothing; 'sparsebench list patterns'")
    if wanted.density is None or wanted.density == 1:
        raise InputError(f"pattern '{wanted.pattern}' at density 1 prunes nothing; give a density below 1")
    wanted.pattern.check(wanted.density)
    tensors: dict[str, list[Layer]] = {}
    for layer in layers:
        tensors.setdefault(layer.address, []).append(layer)
    chosen = {layer.address for layer in taken}
    found = []
    for address, users in tensors.items():
        if address not in chosen:
            found.append(Pruned(tuple(users), reason="left out by --layers or --skip"))
        elif reason := dense.get(address) or _unfit(users[0], wanted.density):
            found.append(Pruned(tuple(users), reason=reason))
        else:
            weights = users[0].weights()
            mask = wanted.pattern.prune(weights, wanted.density)
            found.append(Pruned(tuple(users), mask, kept(weights, mask)))
    if all(entry.mask is None for entry in found):
        reasons = "; ".join(dict.fromkeys(entry.reason for entry in found)) or "the model has none"
        raise InputError(f"no layer of the model can be pruned to {wanted.label}: {reasons}")
    return found


def _unfit(layer: Layer, density: float) -> str:
    if density * layer.cols < 1:
        return f"of the {layer.cols} weights of a row, less than one would be kept"
    return ""


def pack(entry: Pruned, wanted: Combination) -> Format:
    """Return a pruned tensor in the format of its pattern: CSR for those that have none of their own."""
    assert entry.mask is not None and wanted.density is not None
    weights, pattern = entry.weights(), wanted.pattern
    if isinstance(pattern, patterns.Complementary):
        assert entry.mask.owner is not None
        return Complementary.pack(weights, entry.mask.owner, pattern.lanes, pattern.overlay(wanted.density))
    if isinstance(pattern, patterns.Block):
        return BlockSparse.pack(weights, entry.mask.allowed, (pattern.rows, pattern.cols))
    return Csr.pack(weights, entry.mask.allowed)


def save_packed(found: Sequence[Pruned], wanted: Combination, folder: Path) -> None:
    """Write each pruned tensor, packed, into a folder that exists, and which layer is in which file.

    ``sparsebench.formats.load`` reads the files back.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    listed: list[dict[str, Any]] = []
    for number, entry in enumerate(entry for entry in found if entry.mask is not None):
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", entry.first.name).strip("._")[-80:]
        file = f"{number:03d}-{stem}.npz"
        pack(entry, wanted).save(folder / file)
        listed.append(
            {
                "layers": [layer.name for layer in entry.layers],
                "file": file,
                "shape": list(entry.first.shape),
                "pattern": str(wanted.pattern),
                "density": entry.density,
            }
        )
    try:
        (folder / INDEX).write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder / INDEX}: cannot be written: {error.strerror}") from error


def arrays(found: Sequence[Pruned]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the name of each tensor's first layer and its weights in the layer's shape, pruned or not."""
    for entry in found:
        yield entry.first.name, entry.weights().reshape(entry.first.shape)
