"""``sparsebench noise``: how much runs of one and the same program differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparsebench.cli.baseline import StoreFolder
from sparsebench.cli.selection import Data, Level, Problems, Seed, Suites, Threads, Where, requested


def noise(
    suites: Suites = None,
    runs: Annotated[
        int, typer.Option("--runs", help="Runs to make, at least 3; more make lower floors.", metavar="N", min=3)
    ] = 5,
    problem: Problems = None,
    threads: Threads = None,
    kernels: Annotated[
        str | None, typer.Option("--kernels", help="Kernels to run, as globs: 'complementary,mkl-*'.", metavar="GLOBS")
    ] = None,
    where: Where = None,
    isa: Level = None,
    seed: Seed = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", help="Seconds of measuring for each run; give 'run' the same.", metavar="SECONDS"),
    ] = None,
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the runs; default reports/noise-SUITE-TIME.", metavar="DIR")
    ] = None,
    made: Annotated[
        list[Path] | None,
        typer.Option("--from", help="A run that is there, instead of making any; three or more.", metavar="RUN"),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show what the store knows of this machine; no SUITE.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="List all cases, the noisiest first.")] = False,
    form: Annotated[str, typer.Option("--format", help="How to show it.", metavar="console|markdown")] = "console",
    store: StoreFolder = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no table.")] = False,
) -> None:
    """Run a suite several times, in fresh processes, and keep how much each case scatters: compare and check use it.

    Exit codes: 0 fine, 2 bad input, 3 a wrong result, 4 a case failed or nothing was measured, 130 interrupted.
    """
    import sys

    from sparsebench.bench.machine import key_hash, machine_key
    from sparsebench.cli.progress import repeat
    from sparsebench.errors import InputError
    from sparsebench.noise import from_runs
    from sparsebench.report import tables_renderer
    from sparsebench.report.store_tables import noise as noise_table
    from sparsebench.run_folder import RunFolder
    from sparsebench.store import Store, store_path

    if form not in ("console", "markdown"):
        raise InputError(f"--format '{form}' is not known; known: console, markdown")
    if sum((show, bool(made), bool(suites or problem))) != 1:
        raise InputError("give a SUITE or --problem to measure, or --from RUN, or --show; one of them")
    write = tables_renderer(form)
    if show:
        key = key_hash(machine_key())
        with Store.open(store_path(store)) as kept:
            known = kept.noise(key)
        if not known:
            raise InputError(f"nothing is known of the noise of this machine ({key}): sparsebench noise SUITE")
        write([noise_table(known, everything)], sys.stdout)
        return
    folders = [RunFolder.open(path) for path in made or ()]
    if not made:
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
        )
        # As a user would type it, whatever the path of the program.
        folders = repeat(request, runs, out, ["sparsebench", *sys.argv[1:]], quiet=quiet)
    found = from_runs(folders)
    with Store.open(store_path(store), create=True) as kept:
        kept.save_noise(key_hash(folders[0].run["machine"]), found)
    if not quiet:
        write([noise_table(found, everything)], sys.stdout)
