"""``sparsebench report``: read finished runs and show them; measures nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparsebench.report import FORMATS


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders that 'sparsebench run' has made.")],
    form: Annotated[str, typer.Option("--format", help="How to show them.", metavar="|".join(FORMATS))] = "console",
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
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to a file instead of stdout.", metavar="FILE")
    ] = None,
) -> None:
    """Show one or more runs: speed-ups over the suite's baseline, per pattern and thread count, and a summary.

    Exit codes: 0 fine, 2 bad input.
    """
    import io
    import sys

    from sparsebench.errors import InputError
    from sparsebench.report import renderer
    from sparsebench.report.frame import combine, select
    from sparsebench.run_folder import RunFolder

    write = renderer(form)
    folders = [RunFolder.open(path) for path in runs]
    frame = combine(folders)
    if where is not None:
        frame = select(frame, where)
    if plot is not None:
        from sparsebench.report import metrics
        from sparsebench.report.plot import draw

        if output is None:
            raise InputError("--plot needs --output FILE.svg, .png or .pdf")
        draw(frame, metrics.find(metric), plot, output)
        return
    columns = [name.strip() for name in by.split(",") if name.strip()]
    if output is None:
        write(frame, sys.stdout, metric=metric, by=columns)
    else:
        # Rendered first: bad options leave a file that exists as it is.
        text = io.StringIO()
        write(frame, text, metric=metric, by=columns)
        try:
            output.write_text(text.getvalue(), encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write --output {output}: {error.strerror}") from error
    for folder in folders:
        for warning in folder.warnings():
            typer.echo(f"{folder.path}: {warning}", err=True)
