"""The problems of a suite's model tables: distinct layers of a model file, at its own sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sparsebench.errors import InputError
from sparsebench.problem import Problem
from sparsebench.suite.schema import ModelTable

if TYPE_CHECKING:
    from sparsebench.models.problems import Alike


def model_problems(table: ModelTable, data: Path | None, seed: int | None) -> list[Problem]:
    """Return the problems of a model table; `seed` replaces the table's.

    Raises
    ------
    InputError
        If the model cannot be read, the sizes of its layers are not known, or none can have any of the patterns.
    """
    from sparsebench.models import load
    from sparsebench.models.problems import Combination, alike, chosen

    model = load(table.file, table.input_shapes, table.batch, data=data)
    layers = chosen(model.layers, table.layers, table.skip, ("layers", "skip"))
    opened = [layer.name for layer in layers if layer.uses is None]
    if opened:
        inputs = ", ".join(str(entry) for entry in model.inputs) or "none"
        raise InputError(
            f"model '{table.file}': the sizes of layer '{opened[0]}' are not known (inputs: {inputs}): set input_shapes"
            " or batch"
        )
    found: list[Problem] = []
    reasons: dict[str, None] = {}
    for shape in _largest(alike(layers), table.largest):
        for entry in table.patterns:
            pattern = entry.build(shape.first.columns or 1)
            for density in [None] if pattern.name == "stored" else table.density:
                try:
                    problem = shape.problem(Combination(pattern, density))
                except InputError as error:
                    reasons[str(error)] = None
                else:
                    found.append(replace(problem, seed=table.seed if seed is None else seed))
    if not found:
        raise InputError(f"model '{table.file}': no layer can have any of the patterns: {'; '.join(reasons)}")
    return found


def _largest(shapes: list[Alike], count: int | None) -> list[Alike]:
    """Return those of which the model does the most work, in the order in which it uses them."""
    ranked = sorted(shapes, key=lambda shape: -shape.uses * (shape.first.macs or 0))
    kept = {id(shape) for shape in ranked[:count]}
    return [shape for shape in shapes if id(shape) in kept]
