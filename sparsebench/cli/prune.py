"""``sparsebench prune``: write a model with its layers pruned by magnitude to a pattern."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparsebench.cli.selection import Data
from sparsebench.cli.what_if import Skip, Take


def prune(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A model: .onnx, .tflite, .safetensors, or a pypi: address.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The pruned model: .onnx, of others .npz.", metavar="OUT")],
    pattern: Annotated[
        str, typer.Option("--pattern", help="Where non-zeros may be: 'sparsebench list patterns'.", metavar="PATTERN")
    ] = "complementary/8",
    density: Annotated[
        float | None, typer.Option("--density", help="The share of weights to keep: 0.05.", metavar="SHARE")
    ] = None,
    sparsity: Annotated[
        float | None, typer.Option("--sparsity", help="Or that to prune: 0.95.", metavar="SHARE")
    ] = None,
    layers: Take = None,
    skip: Skip = None,
    data: Data = None,
    force: Annotated[bool, typer.Option("--force", help="Write over what is there.")] = False,
    form: Annotated[
        str, typer.Option("--format", help="How to show what was pruned.", metavar="console|markdown|csv|json")
    ] = "console",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table.")] = False,
) -> None:
    """Prune a model's MatMul, Gemm and convolution weights so that the most magnitude stays, and write it.

    Beside OUT.onnx (for files without a graph OUT.npz), OUT.packed/ holds the pruned weights in their sparse format.
    Exit codes: 0 fine, 2 bad input.
    """
    import sys

    from sparsebench.errors import InputError
    from sparsebench.models import load, problems, pruned_file
    from sparsebench.models.prune import prune as pruned
    from sparsebench.patterns import parse_pattern
    from sparsebench.report import prune_table

    if form not in prune_table.FORMATS:
        raise InputError(f"--format '{form}' is not known; known: {', '.join(prune_table.FORMATS)}")
    wanted = problems.Combination(parse_pattern(pattern), _density(density, sparsity))
    model = load(file, data=data)
    pruned_file.check_target(model, out, force)
    taken = problems.chosen(model.layers, layers or (), skip or ())
    found = pruned(model.layers, taken, wanted, pruned_file.must_stay(model))
    written = pruned_file.write(model, found, wanted, out)
    if not quiet:
        prune_table.write(form, model.path.name, found, wanted, sys.stdout)
        typer.echo(f"written: {', '.join(map(str, reversed(written)))}", err=True)


def _density(density: float | None, sparsity: float | None) -> float:
    from sparsebench.errors import InputError

    if (density is None) == (sparsity is None):
        raise InputError("give --density (the share to keep) or --sparsity (the share to prune), one of them")
    name, value = ("--density", density) if density is not None else ("--sparsity", sparsity)
    if value is None or not 0 < value < 1:
        raise InputError(f"{name} is {value:g}; it must lie between 0 and 1")
    # Rounded because 1 - 0.95 is not 0.05 in binary.
    return value if density is not None else round(1 - value, 12)
