"""``sparsebench baseline``: runs that have a name, to compare later ones with; measures nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# The option of all commands that use a store.
StoreFolder = Annotated[
    Path | None,
    typer.Option("--store", help="Folder of kept runs; else $SPARSEBENCH_STORE, else .sparsebench.", metavar="DIR"),
]
baseline = typer.Typer(help="Keep runs under names, one for each machine, for 'compare --baseline'.")


@baseline.command("save")
def save(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it, such as a branch or a release.")],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a complete run; it is copied.")],
    store: StoreFolder = None,
) -> None:
    """Keep a run as the baseline of its machine; the run that had the name there is kept without it."""
    from sparsebench.run_folder import RunFolder
    from sparsebench.store import Store, store_path

    folder = RunFolder.open(run)
    with Store.open(store_path(store), create=True) as kept:
        before, added = kept.save_baseline(name, folder)
    was = f", instead of {before.id}" if before is not None and before != added else ""
    typer.echo(f"baseline '{name}' of machine {added.machine} is run {added.id} ({added.cases} cases){was}")


@baseline.command("list")
def listing(store: StoreFolder = None) -> None:
    """List baselines, those of this machine marked with *."""
    import sys

    from sparsebench.bench.machine import key_hash, machine_key
    from sparsebench.report.console import write_tables
    from sparsebench.report.store_tables import baselines
    from sparsebench.store import Store, store_path

    with Store.open(store_path(store)) as kept:
        found = kept.baselines()
    write_tables([baselines(found, key_hash(machine_key()))], sys.stdout)


@baseline.command("remove")
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A baseline.")],
    machine: Annotated[
        str | None, typer.Option("--machine", help="Only that of this machine; default of all.", metavar="KEY")
    ] = None,
    store: StoreFolder = None,
) -> None:
    """Forget a name; its runs stay in 'sparsebench history'."""
    from sparsebench.store import Store, store_path

    with Store.open(store_path(store)) as kept:
        count = kept.remove_baseline(name, machine)
    typer.echo(f"removed baseline '{name}' of {count} machine{'s' if count > 1 else ''}")
