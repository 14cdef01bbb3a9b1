"""``sparsebench report``: what finished runs say."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How a report is written."""

    CONSOLE = "console"
    CSV = "csv"
    MARKDOWN = "markdown"


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    format_: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.CONSOLE,
    metric: Annotated[
        str,
        typer.Option("--metric", help="speedup, median, gflops_useful, gflops_dense, prepare, bytes or error."),
    ] = "speedup",
    by: Annotated[
        str | None,
        typer.Option("--by", help="Geometric means over all that shares these columns: 'pattern,N'.", metavar="COLS"),
    ] = None,
) -> None:
    """Show finished runs as tables, CSV or Markdown."""
    import pandas as pd
    from rich.console import Console

    from sparsebench.report import console, markdown
    from sparsebench.report.table import make_tables
    from sparsebench.run_folder import RunFolder

    frames = []
    for path in runs:
        frame = RunFolder.open(path).frame()
        if len(runs) > 1:
            frame.insert(0, "run", path.name)
        frames.append(frame)
    frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    if format_ is Format.CSV:
        typer.echo(frame.to_csv(index=False), nl=False)
        return
    content = make_tables(frame, metric, [name.strip() for name in by.split(",")] if by else None)
    if format_ is Format.MARKDOWN:
        typer.echo(markdown.render(content), nl=False)
    else:
        console.render(content, Console())
