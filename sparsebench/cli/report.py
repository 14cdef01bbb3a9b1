"""``sparsebench report``: read finished runs and show them; measures nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparsebench.report import FILES, FORMATS


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders that 'sparsebench run' has made.")],
    form: Annotated[
        str, typer.Option("--format", help="How to show them.", metavar="|".join([*FORMATS, *FILES]))
    ] = "console",
    by: Annotated[
        str,
        typer.Option("--by", help="Merge problems that share these columns: 'pattern,N'.", metavar="COLS"),
    ] = "",
    metric: Annotated[
        str,
        typer.Option(
            "--metric",
            help="speedup, median, per_column, items_per_s, gflops_useful, gflops_dense, roofline,"
            " prepare, bytes, kept_l1, kept_l2 or error.",
            metavar="NAME",
        ),
    ] = "speedup",
    where: Annotated[
        str | None,
        typer.Option("--where", help="Only cases for which this holds: 'N >= 16 and threads == 1'.", metavar="EXPR"),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option("--plot", help="Draw the metric over this column into --output FILE.svg, .png or .pdf."),
    ] = None,
    chart: Annotated[
        list[str] | None,
        typer.Option("--chart", help="With --format png or svg: only this chart; repeatable.", metavar="NAME"),
    ] = None,
    break_even: Annotated[
        bool,
        typer.Option("--break-even", help="The sparsity from which each sparse kernel beats the best dense one."),
    ] = False,
    what_if: Annotated[
        bool,
        typer.Option("--what-if", help="Of a run of 'sparsebench model --what-if': what the model would gain."),
    ] = False,
    peers: Annotated[
        bool, typer.Option("--peers", help="Of each problem the best dense rival, the best sparse one, and our best.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write to a file instead of stdout; charts to a folder.", metavar="FILE"),
    ] = None,
) -> None:
    """Show one or more runs: speed-ups over the suite's baseline, per pattern and thread count, and a summary.

    Exit codes: 0 fine, 2 bad input.
    """
    from sparsebench.report.deliver import Request, deliver
    from sparsebench.report.loaded import load
    from sparsebench.run_folder import RunFolder

    request = Request(
        form=form,
        metric=metric,
        by=tuple(name.strip() for name in by.split(",") if name.strip()),
        plot=plot,
        charts=tuple(chart or ()),
        break_even=break_even,
        what_if=what_if,
        peers=peers,
        output=output,
    )
    loaded = load([RunFolder.open(path, salvage=True) for path in runs], where)
    deliver(loaded, request)
    if plot is None and not request.tells_warnings:
        for warning in loaded.frame.attrs["warnings"]:
            typer.echo(f"warning: {warning}", err=True)
