"""The report as GitHub Markdown."""

from __future__ import annotations

from sparsebench.report.table import Cell, Report, Table


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


def _cell(cell: Cell) -> str:
    text = _escape(f"{cell.text} {cell.spread}".strip())
    return f"**{text}**" if cell.mark in ("best", "bad") else text


def _lines(table: Table) -> list[str]:
    headers = (*table.headers, *table.kernels)
    rule = (*("---" for _ in table.headers), *("---:" for _ in table.kernels))
    rows = ((*map(_escape, labels), *map(_cell, cells)) for labels, cells in table.rows)
    return [f"### {table.title}", "", *(f"| {' | '.join(row)} |" for row in (headers, rule, *rows)), ""]


def render(report: Report) -> str:
    """Return the whole report as Markdown."""
    lines = [line for table in report.tables for line in _lines(table)]
    lines.append(f"{report.legend}; the best of each row is bold.")
    if report.notes:
        lines += ["", *(f"- {_escape(note)}" for note in report.notes)]
    return "\n".join(lines) + "\n"
