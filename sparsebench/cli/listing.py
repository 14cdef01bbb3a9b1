"""``sparsebench list``: what there is to run."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


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
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in rows[0]:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row.values()))
    Console().print(table)


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
            "what it is": f"unavailable: {kernel.missing}" if kernel.missing else kernel.summary,
        }
        for named in all_kernels().values()
        for kernel in named.values()
    ]


def _patterns() -> list[dict[str, str]]:
    from sparsebench.patterns import PATTERNS

    return [{"pattern": name, "what it is": kind.summary} for name, kind in PATTERNS.items()]
