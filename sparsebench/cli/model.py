"""``sparsebench model``: what a model file consists of, where it is zero, and what it would gain if it were sparse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparsebench.cli.selection import Level, Threads, TimeLimit
from sparsebench.cli.what_if import DEFAULT_PATTERNS, Ask, Patterns, Skip, Sparsities, Take, explore

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
    what_if: Sparsities = None,
    patterns: Patterns = DEFAULT_PATTERNS,
    layers: Take = None,
    skip: Skip = None,
    threads: Threads = None,
    kernels: Annotated[
        str | None, typer.Option("--kernels", help="Kernels to run, as globs: 'complementary,mkl-*'.", metavar="GLOBS")
    ] = None,
    isa: Level = None,
    budget: Annotated[
        float | None, typer.Option("--budget", help="Seconds of measuring for the whole run.", metavar="SECONDS")
    ] = None,
    time_limit: TimeLimit = 120.0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Run folder to create; default reports/model-NAME-TIME.", metavar="DIR")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be measured, measure nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, and no tables but into --output.")] = False,
) -> None:
    """List a model's layers: shapes, multiply-adds, zeros, and the pattern that the zeros follow.

    With --what-if, measure instead every distinct layer as if it were that sparse, in each pattern, beside its dense
    self, and tell what the whole model would gain; the other options below it are for that. It makes a run like
    'sparsebench run', which resumes it ('run --resume') and shows it again ('report RUN --what-if').

    Exit codes: 0 fine, 2 bad input; with --what-if also 3 a wrong result, 4 a case failed or nothing was measured, 130
    interrupted.
    """
    from functools import partial

    from sparsebench import models
    from sparsebench.errors import InputError
    from sparsebench.models.wanted import parse_shapes
    from sparsebench.report.model_listing import write
    from sparsebench.report.output import emit

    if form not in FORMATS:
        raise InputError(f"--format '{form}' is not known here; known: {', '.join(FORMATS)}")
    if what_if is not None:
        ask = Ask(
            sparsities=what_if,
            patterns=patterns,
            layers=layers or (),
            skip=skip or (),
            columns=batch,
            threads=threads,
            kernels=kernels,
            level=isa,
            budget=budget,
            time_limit=time_limit,
            data=data,
            out=out,
            dry_run=dry_run,
            form=form,
            output=output,
            quiet=quiet,
        )
        # A file without a graph has no batch, but an N that its user knows.
        graph = not file.partition("@sha256=")[0].endswith(".safetensors")
        loaded = models.load(file, parse_shapes(input_shape or ()), batch if graph else None, data=data)
        raise typer.Exit(explore(loaded, ask))
    if patterns != DEFAULT_PATTERNS or any((layers, skip, threads, kernels, isa, budget, out, dry_run, quiet)):
        raise InputError("options such as --patterns, --layers, --threads and --budget are for --what-if 0.9,0.95")
    loaded = models.load(file, parse_shapes(input_shape or ()), batch, data=data)
    emit(partial(write, loaded, models.study(loaded.layers), form=form), output)
