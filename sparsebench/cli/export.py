"""``sparsebench export``: a network as an ONNX model; measures nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    network: Annotated[str, typer.Argument(metavar="NETWORK", help="A shipped network, such as gsc, or a TOML file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The ONNX file to write.", metavar="FILE.onnx")],
    weights: Annotated[
        Path | None, typer.Option("--weights", help="What net.save wrote; else weights are drawn.", metavar="FILE.npz")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of weights that are drawn.")] = 0,
    batch: Annotated[int | None, typer.Option("--batch", help="A fixed batch; without it any.", metavar="N")] = None,
    for_engine: Annotated[
        bool, typer.Option("--for-engine", help="ReLU in place of k-winners, as rivals run it (docs/fairness.md).")
    ] = False,
    dense: Annotated[
        bool, typer.Option("--dense", help="With --for-engine: weights without zeros, to see what zeros bring.")
    ] = False,
) -> None:
    """Write a network as an ONNX model, BatchNorm folded, zeros of its weights included.

    k-winners become TopK and a scatter, so that the model computes what ours does.
    Exit codes: 0 fine, 2 bad input.
    """
    from sparsebench import nets
    from sparsebench.errors import InputError
    from sparsebench.nets import engines

    if dense and not for_engine:
        raise InputError("--dense is for --for-engine")
    if weights is not None and (seed or dense):
        raise InputError(f"--weights are given: leave out {'--seed' if seed else '--dense'}")
    net = nets.load(network)
    net = net.initialize(seed) if weights is None else net.load(weights)
    if for_engine:
        net = engines.for_engine(net, "dense" if dense else "stored")
    net.to_onnx(output, batch)
    # Of trained weights some may be zero within the pattern, of those for engines no pattern is known.
    count = sum(int((array != 0).sum()) for name, array in net.parameters.items() if name.endswith(".weight"))
    typer.echo(f"{output}: {network}, {count:,} weights that are not zero, batch {batch or 'any'}")
