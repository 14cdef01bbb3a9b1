"""``sparsebench history``: how a kernel developed over the runs that were kept; measures nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparsebench.cli.baseline import StoreFolder


def history(
    kernel: Annotated[
        str | None, typer.Argument(metavar="KERNEL", help="A kernel; without one, all runs are listed.")
    ] = None,
    problem: Annotated[str | None, typer.Option("--problem", help="Only this problem.")] = None,
    metric: Annotated[str, typer.Option("--metric", help="As of 'report'.", metavar="NAME")] = "speedup",
    threads: Annotated[int | None, typer.Option("--threads", help="Only this thread count.", min=1)] = None,
    where: Annotated[
        str | None, typer.Option("--where", help="Only cases for which this holds: 'N >= 16'.", metavar="EXPR")
    ] = None,
    machine: Annotated[
        str | None, typer.Option("--machine", help="Key of another machine than this.", metavar="KEY")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw it into FILE.svg, .png or .pdf instead.", metavar="FILE")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="How to show it.", metavar="console|markdown|csv|json")
    ] = "console",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to a file instead of stdout.", metavar="FILE")
    ] = None,
    add: Annotated[
        list[Path] | None, typer.Option("--add", help="First copy this complete run into the store.", metavar="RUN")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", help="First remove this run from the store.", metavar="ID")
    ] = None,
    store: StoreFolder = None,
) -> None:
    """Show a kernel's speed-up, or another metric, run by run, and where its level changed; or list the kept runs.

    Exit codes: 0 fine, 2 bad input.
    """
    from functools import partial

    from sparsebench.bench.machine import key_hash, machine_key
    from sparsebench.errors import InputError
    from sparsebench.report import tables_renderer
    from sparsebench.report.frame import select
    from sparsebench.report.history import FORMATS, write
    from sparsebench.report.history import history as follow
    from sparsebench.report.history_plot import draw
    from sparsebench.report.metrics import find
    from sparsebench.report.output import emit
    from sparsebench.report.store_tables import runs as runs_table
    from sparsebench.run_folder import RunFolder
    from sparsebench.store import Store, store_path

    if form not in (FORMATS if kernel else FORMATS[:2]):
        raise InputError(f"--format '{form}' is not known here; known: {', '.join(FORMATS if kernel else FORMATS[:2])}")
    quantity = find(metric)
    key = machine or key_hash(machine_key())
    added = [RunFolder.open(path) for path in add or ()]
    with Store.open(store_path(store), create=bool(added)) as kept:
        for folder in added:
            kept.add(folder)
        for run_id in remove or ():
            kept.remove(run_id)
        runs, kernels = kept.runs(), kept.kernels()
        frame = kept.cases(kernel) if kernel else None
    if kernel is None or frame is None:
        emit(partial(tables_renderer(form), [runs_table(runs, key)]), output)
        return
    mine = [run for run in runs if run.machine == key]
    if runs and not mine:
        others = ", ".join(dict.fromkeys(run.machine for run in runs))
        raise InputError(f"no run is of machine {key}; --machine may be {others}")
    for expression in (where, problem and f"problem == '{problem}'", threads and f"threads == {threads}"):
        if expression and not frame.empty:
            frame = select(frame, expression)
    found = follow(mine, frame, kernel, quantity, kernels)
    if plot is not None:
        draw(found, plot)
    else:
        emit(partial(write, found, form=form), output)
