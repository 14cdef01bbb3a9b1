"""``sparsebench run``: measure suites or single problems."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparsebench.cli.baseline import StoreFolder
from sparsebench.cli.check import Confirm, Strict, Thresholds, conclude
from sparsebench.cli.selection import Data, Level, Problems, Seed, Suites, Threads, TimeLimit, Where, requested

if TYPE_CHECKING:
    from sparsebench.suite.thresholds import Threshold


def run(
    suites: Suites = None,
    problem: Problems = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Run folder to create; default reports/SUITE-TIME.", metavar="DIR")
    ] = None,
    threads: Threads = None,
    kernels: Annotated[
        str | None, typer.Option("--kernels", help="Kernels to run, as globs: 'complementary,mkl-*'.", metavar="GLOBS")
    ] = None,
    where: Where = None,
    isa: Level = None,
    seed: Seed = None,
    budget: Annotated[
        float | None, typer.Option("--budget", help="Seconds of measuring for the whole run.", metavar="SECONDS")
    ] = None,
    data: Data = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Finish an interrupted run in its folder.", metavar="DIR")
    ] = None,
    time_limit: TimeLimit = 120.0,
    tune: Annotated[
        bool, typer.Option("--tune", help="Time several tiles for each of our plans; 'sparsebench tune' lists winners.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Then judge the suite's thresholds, as 'sparsebench check' does.")
    ] = False,
    thresholds: Thresholds = None,
    confirm: Confirm = 0,
    strict: Strict = False,
    record: Annotated[
        bool, typer.Option("--record", help="Then keep a copy in the store, for 'history' and 'baseline'.")
    ] = False,
    store: StoreFolder = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the cases, measure nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no table.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Results as JSON on stdout, all else on stderr.")] = False,
) -> None:
    """Measure every kernel on every problem, check every answer, keep every finished result.

    Exit codes: 0 fine, 2 bad input, 3 a wrong result, 4 a case failed, nothing was measured or the disk is full,
    130 interrupted; with --check also 1 a threshold falls short, 5 no verdict (all are skipped; with --strict, one is
    undecided).
    """
    import sys

    from sparsebench.bench.plan import default_folder, describe, make_plan, recorded_groups, remaining_plan
    from sparsebench.cli.progress import conduct, print_cases
    from sparsebench.errors import InputError
    from sparsebench.run_folder import RunFolder

    if resume is not None:
        if suites or problem or out:
            raise InputError("--resume takes all from the run folder: give no suite, --problem or --out with it")
        folder = RunFolder.resume(resume)
        plan = remaining_plan(folder)
    else:
        folder = None
        plan = make_plan(
            requested(
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
                tune=tune,
            )
        )
    if store and not (record or check):
        raise InputError("--store is for --record and --check")
    if (thresholds or confirm or strict) and not check:
        raise InputError("--thresholds, --confirm and --strict are for --check")
    claims: list[Threshold] = []
    if check:
        from sparsebench.check import foresee, thresholds_for

        claims = thresholds_for(plan.suite_texts, thresholds or [])
        # Before minutes of measuring, not after.
        foresee(claims, plan.groups if folder is None else recorded_groups(folder))
    if dry_run:
        print_cases(plan, json)
        return
    if folder is None:
        # As a user would type it, whatever the path of the program.
        argv = ["sparsebench", *sys.argv[1:]]
        folder = RunFolder.create(out or default_folder(plan.name), describe(plan, argv))
    code = conduct(plan, folder, quiet=quiet, as_json=json)
    if record and "finished" in folder.run:
        from sparsebench.store import Store, store_path

        with Store.open(store_path(store), create=True) as kept:
            kept.add(folder)
    if check:
        stream = sys.stderr if json else sys.stdout
        code = conclude(folder, claims, confirm, strict, code=code, quiet=quiet, stream=stream, store=store)
    raise typer.Exit(code)
