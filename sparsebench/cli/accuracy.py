"""``sparsebench accuracy``: what each pattern costs a trained network, beside what it buys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparsebench.cli.selection import Data
from sparsebench.report.accuracy import FORMATS


def accuracy(
    suite: Annotated[
        str | None, typer.Argument(metavar="SUITE", help="Name of a shipped accuracy suite, or a path.")
    ] = None,
    data: Data = None,
    where: Annotated[
        str | None,
        typer.Option("--where", help="Only trainings for which this holds: 'act_density == 1'.", metavar="EXPR"),
    ] = None,
    validate: Annotated[
        bool,
        typer.Option("--validate", help="For choosing a recipe: judge by a part of the training data, not the test."),
    ] = False,
    threads: Annotated[
        int | None, typer.Option("--threads", help="Threads that train; default all cores.", metavar="N")
    ] = None,
    time: Annotated[
        bool | None,
        typer.Option(
            "--time/--no-time", help="Afterwards, time a trained network of each pattern; default --time, or as begun."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to create; default reports/accuracy-SUITE-TIME.", metavar="DIR")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Finish an interrupted study in its folder.", metavar="DIR")
    ] = None,
    show: Annotated[
        Path | None, typer.Option("--show", help="Show a study that was made; no SUITE.", metavar="DIR")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="How to show it.", metavar="|".join(FORMATS))] = "console",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to a file instead of stdout.", metavar="FILE")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the trainings, train nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no tables.")] = False,
) -> None:
    """Train networks with each pattern, judge them, and time them in our kernels on this machine.

    Exit codes: 0 fine, 2 bad input or a library is missing, 3 our kernels and PyTorch say something else, 4 a training
    diverged or the disk is full, 130 interrupted.
    """
    import os
    import sys

    from sparsebench.accuracy.folder import AccuracyFolder
    from sparsebench.errors import InputError
    from sparsebench.report.accuracy import deliver, require

    require(form, output)
    if sum(one is not None for one in (suite, resume, show)) != 1:
        raise InputError(
            "give a SUITE ('sparsebench list studies' shows them), or --resume DIR, or --show DIR; one of them"
        )
    if show is not None:
        if data or where or validate or out or dry_run:
            raise InputError("--show trains nothing: give no --data, --where, --validate, --out or --dry-run with it")
        deliver(AccuracyFolder.open(show), form, output)
        return
    if resume is not None and (where or validate or out or dry_run or threads):
        raise InputError("--resume takes all from the folder: give no --where, --validate, --threads or --out with it")

    from sparsebench.bench.pool import SPIN

    # Threads that spin while they wait take the cores from whatever else runs, and from one another: small networks
    # become ten times as slow. OpenMP reads this when PyTorch is loaded.
    for name, value in SPIN.items():
        os.environ.setdefault(name, value)
    from sparsebench.accuracy.begin import begin, go_on
    from sparsebench.bench.machine import usable_cpus
    from sparsebench.cli.accuracy_progress import carry_out, print_plan, require_threads

    cores = len(usable_cpus())
    if resume is not None:
        plan, folder = go_on(resume, data)
        if time is not None:
            folder.update(time=time)
        time = folder.record["time"]
        # Sums of another number of threads are others in the last bits.
        threads = require_threads(folder.record["threads"], cores)
    else:
        assert suite is not None
        threads = require_threads(threads, cores)
        # As a user would type it, whatever the path of the program.
        argv = ["sparsebench", *sys.argv[1:]]
        study = begin(suite, data, where, validate=validate)
        if dry_run:
            print_plan(study.plan)
            return
        plan, folder = study.plan, study.create(out, argv, time=time is not False, threads=threads)
        time = folder.record["time"]
    code = carry_out(plan, folder, threads=threads, time=time, quiet=quiet)
    if (output or not quiet) and "finished" in folder.record:
        deliver(folder, form, output)
    raise typer.Exit(code)
