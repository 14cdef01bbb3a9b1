"""``sparsebench doctor``: this machine, and whether its numbers can be trusted."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def doctor(
    measure: Annotated[bool, typer.Option(help="Measure FMA peak and bandwidths (a few seconds).")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print data alone.")] = False,
) -> None:
    """Show the CPU, its ceilings, the libraries, and what would make numbers doubtful here. Changes nothing."""
    import json as encoder

    from sparsebench.doctor import examine

    facts = examine(measure)
    if json:
        typer.echo(encoder.dumps(facts, indent=1))
    else:
        _print(facts)


def _bytes(size: int | None) -> str:
    if size is None:
        return "not told"
    return f"{size / 2**20:g} MiB" if size >= 2**20 else f"{size / 2**10:g} KiB"


def _or_not_told(value: Any) -> str:
    return "not told" if value is None else str(value)


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    key, now, levels, mkl = facts["machine"], facts["conditions"], facts["levels"], facts["mkl"]
    build = now["build"] or {}
    pools = [
        f"{pool['library']} {pool['version'] or ''} ({pool['kernel'] or pool['layer'] or pool['file']})".replace(
            "  ", " "
        )
        for pool in facts["libraries"]["pools"]
    ]
    return [
        ("sparsebench", f"{facts['sparsebench']}, machine key {facts['machine_key']}"),
        ("CPU", f"{key['model']} ({key['vendor']}, {key['architecture']})"),
        (
            "levels",
            f"using {levels['used']}; CPU has {', '.join(levels['this_cpu'])}; built {', '.join(levels['built'])}",
        ),
        ("cores", f"{_or_not_told(key['cores'])}, {_or_not_told(key['threads_per_core'])} thread(s) each"),
        ("caches", ", ".join(f"{name} {_bytes(size)}" for name, size in key["caches"].items())),
        ("governor", f"{_or_not_told(now['governor'])}; turbo {_or_not_told(now['turbo'])}"),
        ("load", f"{now['load'][0]:.2f}; steal {_or_not_told(now['steal_share'] and round(now['steal_share'], 4))}"),
        ("compiler", _or_not_told(build.get("compiler"))),
        ("BLAS, OpenMP", "\n".join(pools) or "none loaded"),
        (
            "MKL",
            f"{mkl['version']}\nthreading layer {mkl['threading_layer']}, code path {_or_not_told(mkl['code_path'])}"
            if mkl["available"]
            else mkl["reason"],
        ),
        (
            "empty call",
            f"{facts['empty_call_ns']['native']:.1f} ns native, {facts['empty_call_ns']['python']:.0f} ns in Python",
        ),
    ]


def _print(facts: dict[str, Any]) -> None:
    from textwrap import wrap

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, value in _rows(facts):
        grid.add_row(Text(name, style="bold"), Text(value))
    console.print(grid)
    if "ceilings" in facts:
        table = Table(title="measured ceilings", title_justify="left", box=None, pad_edge=False)
        levels = list(next(iter(facts["ceilings"].values()))["read_gbytes"])
        for header in ("threads", "FMA GFLOP/s", *(f"{level} GB/s" for level in levels)):
            table.add_column(header, justify="right")
        for threads, found in facts["ceilings"].items():
            table.add_row(
                threads, f"{found['fma_gflops']:.0f}", *(f"{found['read_gbytes'][level]:.0f}" for level in levels)
            )
        console.print()
        console.print(table)
    console.print()
    if not facts["warnings"]:
        console.print("Nothing found that would make numbers doubtful.")
    for warning in facts["warnings"]:
        for line in wrap(warning["what"], console.width - 2):
            console.print(Text(f"{'!' if warning['what'].startswith(line) else ' '} {line}", style="bold"))
        for line in wrap(warning["advice"], console.width - 2):
            console.print(Text(f"  {line}"))
        for command in warning["commands"]:
            console.print(Text(f"    {command}", style="dodger_blue1"), soft_wrap=True)
