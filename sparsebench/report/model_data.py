"""A model's layers and their zeros as data: a line a layer in CSV, everything in JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TextIO

from sparsebench.models.layer import Layer, Model
from sparsebench.models.zeros import BLOCKS, GROUPS, Zeros
from sparsebench.patterns.complementary import LANES

# Patterns by what does not change from layer to layer: of n:m that is m.
_PATTERNS = (
    "rows",
    "columns",
    *(f"n:{group}" for group in GROUPS),
    *(f"block/{rows}x{cols}" for rows, cols in BLOCKS),
    *(f"complementary/{lanes}" for lanes in LANES),
)
_COLUMNS = (
    "model", "name", "operator", "op", "shape", "M", "K", "columns", "uses", "height", "width", "stride", "pads",
    "dilation", "groups", "macs", "dtype", "bytes", "sparse", "nnz", "zeros", "row_min", "row_median", "row_max",
    "pattern", *(f"efficiency {name}" for name in _PATTERNS), *(f"n of {group}" for group in GROUPS), "address",
)  # fmt: skip


def write_csv(model: Model, zeros: Sequence[Zeros], stream: TextIO) -> None:
    """Write a line for each layer, with columns `_COLUMNS`; what is not known, or was not tried, is empty."""
    writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for layer, found in zip(model.layers, zeros, strict=True):
        writer.writerow({"model": model.address} | _record(layer, found))


def write_json(model: Model, zeros: Sequence[Zeros], stream: TextIO) -> None:
    """Write the model, its layers, and every pattern that was tried on each."""
    whole = {
        "model": model.address,
        "format": model.format,
        "inputs": [{"name": given.name, "shape": given.shape} for given in model.inputs],
        "parameters": model.parameters,
        "operators": dict(model.operators),
        "skipped": dict(model.skipped),
        "notes": [note for note in (model.open_sizes, *model.notes) if note],
        "layers": [_nested(layer, found) for layer, found in zip(model.layers, zeros, strict=True)],
    }
    json.dump(whole, stream, indent=1)
    stream.write("\n")


def _nested(layer: Layer, found: Zeros) -> dict[str, Any]:
    return {
        "name": layer.name,
        "operator": layer.operator,
        "op": layer.op,
        "address": layer.address,
        "shape": layer.shape,
        "conv": None if layer.conv is None else asdict(layer.conv) | {"output": layer.output},
        "columns": layer.columns,
        "uses": layer.uses,
        "macs": layer.macs,
        "dtype": layer.dtype,
        "bytes": layer.nbytes,
        "sparse": layer.sparse,
        "nnz": found.nnz,
        "zeros": found.share,
        "rows": dict(zip(("min", "median", "max"), found.rows, strict=True)),
        "pattern": found.pattern,
        "fits": [asdict(fit) for fit in found.fits],
    }


def _record(layer: Layer, found: Zeros) -> dict[str, Any]:
    conv = layer.conv
    record: dict[str, Any] = {
        "name": layer.name,
        "operator": layer.operator,
        "op": layer.op,
        "shape": _joined(layer.shape),
        "M": layer.rows,
        "K": layer.cols,
        "columns": layer.columns,
        "uses": layer.uses,
        "macs": layer.macs,
        "dtype": layer.dtype,
        "bytes": layer.nbytes,
        "sparse": layer.sparse,
        "nnz": found.nnz,
        "zeros": found.share,
        "pattern": found.pattern,
        "address": layer.address,
    }
    record |= dict(zip(("row_min", "row_median", "row_max"), found.rows, strict=True))
    if conv is not None:
        record |= {"height": conv.height, "width": conv.width, "groups": conv.groups}
        record |= {"stride": _joined(conv.stride), "dilation": _joined(conv.dilation), "pads": _joined(conv.pads or ())}
    for fit in found.fits:
        kind = f"n:{fit.of}" if ":" in fit.pattern else fit.pattern
        record[f"efficiency {kind}"] = fit.efficiency
        if ":" in fit.pattern:
            record[f"n of {fit.of}"] = fit.units
    return record


def _joined(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))
