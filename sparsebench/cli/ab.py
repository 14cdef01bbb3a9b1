"""``sparsebench ab``: two commits, built and timed in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparsebench.cli.selection import Data, Level, Problems, Seed, Suites, Threads, TimeLimit, Where, requested
from sparsebench.report.ab import FORMATS


def ab(
    suites: Suites = None,
    base: Annotated[
        str | None,
        typer.Option("--base", help="Commit before; default the merge base with the main branch.", metavar="REV"),
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", help="Commit after; default the working tree as it is.", metavar="REV")
    ] = None,
    problem: Problems = None,
    kernels: Annotated[
        str | None, typer.Option("--kernels", help="Kernels, as globs; default all of our own.", metavar="GLOBS")
    ] = None,
    where: Where = None,
    threads: Threads = None,
    isa: Level = None,
    seed: Seed = None,
    data: Data = None,
    repeats: Annotated[
        int, typer.Option("--repeats", help="Pairs of processes; fewer than 7 raise false alarms.", metavar="N")
    ] = 7,
    budget: Annotated[
        float | None, typer.Option("--budget", help="Seconds of measuring in all.", metavar="SECONDS")
    ] = None,
    time_limit: TimeLimit = 120.0,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            help="Relative change up to which it does not matter; default 0.03, or what was made with it.",
            metavar="SHARE",
        ),
    ] = None,
    floor: Annotated[
        float | None,
        typer.Option(
            "--floor",
            help="Change in ns a call up to which it does not matter; default 20, or what was made with it.",
            metavar="NS",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Undecided and vanished cases are exit code 5, not 0.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to create; default reports/ab-SUITE-TIME.", metavar="DIR")
    ] = None,
    show: Annotated[
        Path | None, typer.Option("--show", help="Judge and show a comparison that was made; no SUITE.", metavar="DIR")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="How to show it.", metavar="|".join(FORMATS))] = "console",
    everything: Annotated[bool, typer.Option("--all", help="List all cases, not those alone that matter.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to a file instead of stdout.", metavar="FILE")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Say what a change made slower or faster: build two commits of this checkout, and time them in turn.

    Exit codes: 0 nothing is slower, 1 something is, 2 bad input, 3 head gives a wrong result, 4 head crashed or a side
    does not build, 5 no verdict (nothing decided; with --strict, a case is not), 130 interrupted.
    """
    import sys
    from functools import partial

    from sparsebench.ab_folder import AbFolder
    from sparsebench.bench.ab_stats import Criteria
    from sparsebench.cli.ab_progress import conduct
    from sparsebench.errors import InputError
    from sparsebench.report.ab import renderer
    from sparsebench.report.ab.cases import compare
    from sparsebench.report.output import emit

    write = renderer(form)
    if (threshold is not None and threshold <= 0) or (floor is not None and floor < 0):
        raise InputError("--threshold must be more than 0, and --floor at least 0 ns")
    given = {} if threshold is None else {"threshold": threshold}
    given |= {} if floor is None else {"floor_s": floor * 1e-9}
    criteria = Criteria(**given)
    if show is not None:
        if suites or problem or base or head or out:
            raise InputError("--show measures nothing: give no suite, --problem, --base, --head or --out with it")
        folder = AbFolder.open(show)
        criteria = Criteria(**(folder.record.get("criteria", {}) | given))
    else:
        request = requested(
            suites,
            problem,
            threads=threads,
            kernels=kernels,
            where=where,
            level=isa,
            seed=seed,
            budget=budget,
            data=data,
            time_limit=time_limit,
        )
        # As a user would type it, whatever the path of the program.
        argv = ["sparsebench", *sys.argv[1:]]
        made = conduct(request, base, head, repeats, criteria, out, argv, quiet=quiet)
        if isinstance(made, int):
            raise typer.Exit(made)
        folder = made
    comparison = compare(folder, criteria, strict=strict)
    emit(partial(write, comparison, everything=everything), output)
    raise typer.Exit(comparison.exit_code)
