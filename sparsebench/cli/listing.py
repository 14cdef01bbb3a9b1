"""``sparsebench list``: what there is to run."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

# Columns for which a terminal must be so wide.
_DETAILS, _WIDE = {"level", "timed in", "process"}, 120


class Subject(StrEnum):
    """What can be listed."""

    SUITES = "suites"
    STUDIES = "studies"
    KERNELS = "kernels"
    PATTERNS = "patterns"
    SCHEMA = "schema"


def listing(
    subject: Annotated[Subject, typer.Argument(help="What to list; 'schema' prints the suites' JSON schema.")],
    json: Annotated[bool, typer.Option("--json", help="Print data alone.")] = False,
) -> None:
    """List shipped suites, accuracy suites ('studies'), kernels (ours and other libraries'), or patterns."""
    import json as encoder

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if subject is Subject.SCHEMA:
        from sparsebench.suite import schema_text

        typer.echo(schema_text(), nl=False)
        return
    rows = {Subject.SUITES: _suites, Subject.STUDIES: _studies, Subject.KERNELS: _kernels, Subject.PATTERNS: _patterns}[
        subject
    ]()
    if json:
        typer.echo(encoder.dumps(rows, indent=2))
        return
    console = Console()
    # The op of each stands above a table of its own.
    for op in dict.fromkeys(row.get("op", "") for row in rows):
        part = [row for row in rows if row.get("op", "") == op]
        left_out = {"op"} | (_DETAILS if console.width < _WIDE else set())
        table = Table(box=None, pad_edge=False, header_style="bold", title=op or None, title_justify="left")
        for column in (column for column in part[0] if column not in left_out):
            table.add_column(column, overflow="fold")
        for row in part:
            table.add_row(*(Text(str(value)) for column, value in row.items() if column not in left_out))
        console.print(table)


def _suites() -> list[dict[str, str]]:
    from sparsebench.suite import shipped

    return [{"suite": name, "what it shows": title} for name, title in shipped()]


def _studies() -> list[dict[str, str]]:
    from sparsebench.accuracy.schema import shipped

    return [{"study": name, "what it shows": title} for name, title in shipped()]


def _kernels() -> list[dict[str, str]]:
    from sparsebench.registry import all_kernels

    return [
        {
            "kernel": kernel.name,
            "op": kernel.op,
            "provider": f"{kernel.provider} {kernel.version}".strip(),
            "level": kernel.level,
            "timed in": kernel.timed_in,
            "process": kernel.runtime or "worker",
            "what it is": f"unavailable: {kernel.missing}" if kernel.missing else kernel.summary,
        }
        for named in all_kernels().values()
        for kernel in named.values()
    ]


def _patterns() -> list[dict[str, str]]:
    from sparsebench.patterns import PATTERNS

    return [{"pattern": name, "what it is": kind.summary} for name, kind in PATTERNS.items()]
