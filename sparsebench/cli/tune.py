"""``sparsebench tune``: what ``run --tune`` remembers about this machine."""

from __future__ import annotations

from typing import Annotated

import typer


def tune(
    clear: Annotated[bool, typer.Option("--clear", help="Forget all winners, of every machine in the cache.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print data alone.")] = False,
) -> None:
    """List the tiles that 'sparsebench run --tune' found fastest on this machine, or forget them."""
    import json as encoder

    from rich.console import Console
    from rich.table import Table

    from sparsebench import tuning

    if clear:
        count = tuning.clear()
        typer.echo(f"forgot {count} tuned plan{'s' if count != 1 else ''}")
        return
    known = tuning.remembered()
    if json:
        typer.echo(encoder.dumps(known, indent=1))
        return
    if not known:
        typer.echo("nothing tuned on this machine yet: 'sparsebench run SUITE --tune' does it")
        return
    table = Table("plan", *next(iter(known.values())))
    for name, choice in known.items():
        table.add_row(name, *map(str, choice.values()))
    Console().print(table)
