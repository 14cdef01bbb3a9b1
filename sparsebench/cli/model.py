"""``sparsebench model``: what a model file consists of, and where it is zero."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FORMATS = ("console", "markdown", "csv", "json")


def model(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A .onnx, .tflite or .safetensors file, or 'pypi:NAME==VERSION#MEMBER', or 'data:REL'."
        ),
    ],
    input_shape: Annotated[
        list[str] | None,
        typer.Option(
            "--input-shape", help="Sizes of an input that the file leaves open: x=1x3x224x224.", metavar="NAME=SIZES"
        ),
    ] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", help="Size of the first axis of every input.", metavar="N", min=1)
    ] = None,
    form: Annotated[str, typer.Option("--format", help="How to show it.", metavar="|".join(FORMATS))] = "console",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to a file instead of stdout.", metavar="FILE")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of 'data:' files; else $SPARSEBENCH_DATA.", metavar="DIR")
    ] = None,
) -> None:
    """List a model's layers: shapes, multiply-adds, zeros, and the pattern that the zeros follow. Measures nothing.

    Exit codes: 0 fine, 2 bad input.
    """
    from functools import partial

    from sparsebench import models
    from sparsebench.errors import InputError
    from sparsebench.models.wanted import parse_shapes
    from sparsebench.report.model_listing import write
    from sparsebench.report.output import emit

    if form not in FORMATS:
        raise InputError(f"--format '{form}' is not known here; known: {', '.join(FORMATS)}")
    loaded = models.load(file, parse_shapes(input_shape or ()), batch, data=data)
    emit(partial(write, loaded, models.study(loaded.layers), form=form), output)
