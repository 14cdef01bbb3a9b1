"""``sparsebench run``: measure suites or single problems."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparsebench.cli.baseline import StoreFolder
from sparsebench.cli.check import Confirm, Strict, Thresholds, conclude

if TYPE_CHECKING:
    from sparsebench.suite.thresholds import Threshold


def run(
    suites: Annotated[
        list[str] | None, typer.Argument(metavar="SUITE", help="Name of a shipped suite, or a path.")
    ] = None,
    problem: Annotated[
        list[str] | None,
        typer.Option("--problem", help="A problem string, e.g. 'matmul:1024x1024x64:complementary/8+0.95:f32'."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Run folder to create; default reports/SUITE-TIME.", metavar="DIR")
    ] = None,
    threads: Annotated[str | None, typer.Option("--threads", help="Thread counts, e.g. '1,2' or 'all'.")] = None,
    kernels: Annotated[
        str | None, typer.Option("--kernels", help="Kernels to run, as globs: 'complementary,mkl-*'.", metavar="GLOBS")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option("--where", help="Only problems for which this holds: 'N >= 16 and lanes == 8'.", metavar="EXPR"),
    ] = None,
    isa: Annotated[str | None, typer.Option("--isa", help="Instruction-set level: v2, v3, v4, generic.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of all random weights and inputs.")] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", help="Seconds of measuring for the whole run.", metavar="SECONDS")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of the suite's data; else $SPARSEBENCH_DATA.", metavar="DIR"),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="Finish an interrupted run in its folder.", metavar="DIR")
    ] = None,
    time_limit: Annotated[
        float, typer.Option("--time-limit", help="Seconds that one step of one kernel may take.", metavar="SECONDS")
    ] = 120.0,
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

    Exit codes: 0 fine, 2 bad input, 3 a wrong result, 4 a case failed or nothing was measured, 130 interrupted; with
    --check also 1 a threshold falls short, 5 no verdict (all are skipped; with --strict, one is undecided).
    """
    import sys

    from sparsebench.bench.plan import Request, default_folder, describe, make_plan, recorded_groups, remaining_plan
    from sparsebench.cli.progress import conduct, print_cases
    from sparsebench.errors import InputError
    from sparsebench.run_folder import RunFolder

    if resume is not None:
        if suites or problem or out:
            raise InputError("--resume takes all from the run folder: give no suite, --problem or --out with it")
        folder = RunFolder.open(resume)
        plan = remaining_plan(folder)
    else:
        folder = None
        plan = make_plan(
            Request(
                suites=tuple(suites or ()),
                problems=tuple(problem or ()),
                threads=thread_counts(threads),
                kernels=globs(kernels),
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


def globs(text: str | None) -> tuple[str, ...] | None:
    """Read ``--kernels``."""
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else None


def thread_counts(text: str | None) -> tuple[int | str, ...] | None:
    """Read ``--threads``; what is no count is an InputError."""
    from sparsebench.errors import InputError

    if text is None:
        return None
    counts: list[int | str] = []
    for part in text.split(","):
        if part.strip() == "all":
            counts.append("all")
            continue
        try:
            count = int(part)
        except ValueError:
            raise InputError(f"--threads '{part}': give numbers from 1 up, or 'all', separated by commas") from None
        if count < 1:
            raise InputError(f"--threads {count}: a thread count must be at least 1")
        counts.append(count)
    return tuple(counts)
