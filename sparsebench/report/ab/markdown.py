"""A comparison as GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from sparsebench.bench.ab_stats import VERDICTS
from sparsebench.report.ab import words
from sparsebench.report.ab.cases import Case, Comparison
from sparsebench.report.markdown import escape
from sparsebench.report.metrics import duration

# A comment or a summary that nobody could read to its end is worth nothing, and GitHub refuses 1 MiB.
_MOST = 50


def write(comparison: Comparison, stream: TextIO, *, everything: bool) -> None:
    """Write the kernels, then what is not the same, at most fifty cases of an outcome unless `everything`."""
    stream.write("\n".join(_lines(comparison, everything)) + "\n")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(escape, cells))} |"


def _lines(comparison: Comparison, everything: bool) -> Iterable[str]:
    yield f"### sparsebench ab: {words.summary(comparison)}"
    yield ""
    yield escape(words.conditions(comparison))
    yield ""
    yield from (f"- {label}: {escape(said)}" for label, said in words.sides(comparison).items())
    if comparison.kernels:
        yield ""
        yield _row(("kernel", "change", "interval", *VERDICTS))
        yield "| :-- |" + " --: |" * (2 + len(VERDICTS))
        for kernel in comparison.kernels:
            counts = (str(kernel.counts[verdict]) for verdict in VERDICTS)
            yield _row((kernel.kernel, words.percent(kernel.change.estimate), words.interval(kernel.change), *counts))
    for outcome, heading in words.HEADINGS.items():
        cases = comparison.of(outcome)
        if not cases or (outcome == "same" and not everything):
            continue
        shown = cases if everything else cases[:_MOST]
        yield from ("", f"**{heading}**{f', {len(shown)} of {len(cases)}' if len(shown) < len(cases) else ''}", "")
        yield _row(("problem", "kernel", "threads", "base", "head", "change", "interval", "between processes", ""))
        yield "| :-- | :-- | --: | --: | --: | --: | --: | --: | :-- |"
        yield from (_row(_cells(case)) for case in shown)
    if comparison.warnings:
        yield ""
        yield from (f"- {escape(warning)}" for warning in comparison.warnings)
    if again := words.repro(comparison):
        yield from ("", "```", again, "```")


def _cells(case: Case) -> tuple[str, ...]:
    found = case.change
    times = [duration(seconds) if seconds is not None else "" for seconds in (case.base_s, case.head_s)]
    changed = (
        ("", "", "") if found is None else (words.percent(found.estimate), words.interval(found), words.spread(found))
    )
    return (case.problem, case.kernel, str(case.threads), *times, *changed, case.note)
