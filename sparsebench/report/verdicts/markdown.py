"""Verdicts as GitHub-flavoured Markdown."""

from __future__ import annotations

from typing import TextIO

from sparsebench.report.markdown import escape
from sparsebench.report.verdicts.lines import Checked, Line, lines, summary

_HEAD = "| claim | measured | interval | limit | verdict | worst cell |\n| :-- | --: | --: | --: | :-- | :-- |\n"


def write(checked: Checked, stream: TextIO) -> None:
    """Write a table of all claims, and the commands for what does not hold."""
    stream.write(render(checked, len(checked.outcomes)))


def render(checked: Checked, most: int) -> str:
    """Return the text with the first `most` claims only, saying how many there are."""
    found = lines(checked)
    shown = found[:most]
    left_out = len(found) - len(shown)
    parts = [f"### sparsebench check: {summary(checked)}\n\n", _HEAD, *map(_row, shown)]
    parts += [f"\n{left_out} more claims are not shown.\n"] if left_out else []
    parts += [part for line in shown if line.verdict not in ("holds", "skipped") for part in _trouble(line)]
    return "".join(parts)


def _row(line: Line) -> str:
    verdict = line.verdict if line.verdict == "holds" else f"**{line.verdict}**"
    cells = [line.claim, line.measured, line.interval, line.limit]
    return f"| {' | '.join(map(escape, cells))} | {verdict} | {escape(line.worst)} |\n"


def _trouble(line: Line) -> list[str]:
    said = [f"\n**{escape(line.claim)}** {line.verdict}\n", *(f"- {escape(note)}\n" for note in line.notes)]
    return [*said, f"\n```\n{line.repro}\n```\n"] if line.repro else said
