"""``sparsebench compare``: what changed between runs; measures nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparsebench.cli.baseline import StoreFolder
from sparsebench.cli.selection import globs


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="[BASE] HEAD...",
            help="Folder of the run to compare with, unless there is --baseline; folders of later runs.",
        ),
    ],
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", help="Compare with what 'sparsebench baseline save' has kept.", metavar="NAME"),
    ] = None,
    relative_to: Annotated[
        str | None,
        typer.Option(
            "--relative-to",
            help="Divide by this kernel's time of the same rounds; 'none' for no one's. Default: each case's baseline.",
            metavar="KERNEL",
        ),
    ] = None,
    kernels: Annotated[
        str | None,
        typer.Option(
            "--kernels",
            help="Kernels to judge, as globs; default our own, and with '--vary libraries' all.",
            metavar="GLOBS",
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option("--threshold", help="Relative change that is worth a verdict.", min=0.0)
    ] = 0.03,
    noise: Annotated[
        float,
        typer.Option(
            "--noise",
            help="Change of a single case that two processes may differ by; more where 'sparsebench noise' found more.",
            min=0.0,
        ),
    ] = 0.25,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary", help="Compare though this differs: machine, libraries, suite or level.", metavar="FIELD"
        ),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="List every case with the reason of its verdict.")] = False,
    form: Annotated[str, typer.Option("--format", help="How to show it.", metavar="console|markdown")] = "console",
    store: StoreFolder = None,
) -> None:
    """Say which kernels and cases became slower or faster from one run to others, and which are the same.

    Exit codes: 0 nothing is slower, 1 something is, 2 bad input, 3 an answer became wrong, 4 a case broke, 5 the runs
    are not comparable, or what is there is not slower and one is not complete.
    """
    import sys
    from dataclasses import replace

    from sparsebench.errors import EXIT_FAILED, EXIT_OK, EXIT_THRESHOLD, EXIT_UNDECIDED, EXIT_WRONG, InputError
    from sparsebench.report.compare import FIELDS, Limits, differences
    from sparsebench.report.compare import compare as compare_runs
    from sparsebench.report.comparison_tables import write
    from sparsebench.run_folder import RunFolder
    from sparsebench.store import find_baseline, known_noise

    for field in vary or ():
        if field not in FIELDS:
            raise InputError(f"--vary '{field}' is not known; known: {', '.join(FIELDS)}")
    if baseline is None and len(runs) < 2:
        raise InputError("nothing to compare with: give BASE and HEAD, or --baseline NAME and HEAD")
    others = [RunFolder.open(path) for path in (runs if baseline is not None else runs[1:])]
    if baseline is None:
        bases, named = [RunFolder.open(runs[0])] * len(others), str(runs[0])
    else:
        bases, named = [find_baseline(store, baseline, other) for other in others], f"baseline {baseline}"
    refused = False
    for base, other in zip(bases, others, strict=True):
        for field, how in differences(base.run, other.run):
            if field not in (vary or ()):
                text = (
                    f"{named} and {other.path} differ in the {FIELDS[field]} ({how}); if that is meant: --vary {field}"
                )
                if baseline is not None:
                    text += f"; else keep one like it: sparsebench baseline save {baseline} {other.path}"
                typer.echo(text, err=True)
                refused = True
    if refused:
        raise typer.Exit(EXIT_UNDECIDED)
    rival = "" if relative_to == "none" else relative_to
    limits = Limits(threshold, noise)
    judged = globs(kernels)
    if judged == ():
        raise InputError(f"--kernels '{kernels}' names no kernel")
    if judged is None and "libraries" in (vary or ()):
        judged = ("*",)
    comparisons = []
    for base, other in zip(bases, others, strict=True):
        known, doubts = known_noise(store, other)
        for doubt in doubts:
            typer.echo(f"warning: {doubt}", err=True)
        found = compare_runs(base, other, relative_to=rival, limits=limits, noise=known, kernels=judged)
        comparisons.append(replace(found, base=named))
    write(comparisons, sys.stdout, form, explain=explain)
    codes = [comparison.exit_code for comparison in comparisons]
    for folder in {folder.path: folder for folder in (*bases, *others)}.values():
        for doubt in (*folder.losses, *([] if folder.complete else ["the run is not complete"])):
            typer.echo(f"warning: {folder.path}: {doubt}", err=True)
        if not folder.complete:
            codes.append(EXIT_UNDECIDED)
    gravest = (EXIT_WRONG, EXIT_FAILED, EXIT_THRESHOLD, EXIT_UNDECIDED, EXIT_OK)
    raise typer.Exit(next(code for code in gravest if code in codes))
