"""What is said below tables: what did not run and why, where weights come from, what words mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from os.path import commonprefix

from sparsebench.report.frame import Record

LEGEND = {
    "wrong": "wrong: a result was not that of float64",
    "mistrusted": "suspect: nearly all of the right answer is zero, so it proves little",
    "failed": "failed: it crashed",
    "timeout": "timeout: it took too long",
    "unsupported": "-: not for this problem",
}


def troubles(records: Iterable[Record], places: Mapping[str, str]) -> tuple[str, ...]:
    """One note per kernel and status other than ok: the first problem, by its name in `places`, and its error."""
    found: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record["status"] in ("wrong", "mistrusted", "failed", "timeout"):
            found.setdefault((record["status"], record["kernel"]), []).append(record)
    lines = []
    for (status, kernel), cases in found.items():
        more = f" and {len(cases) - 1} more" if len(cases) > 1 else ""
        lines.append(f"{status}: {kernel} at {places[cases[0]['problem']]}{more}: {cases[0]['error']}")
    return tuple(lines)


def _by_error(records: Iterable[Record]) -> dict[str, list[str]]:
    """Kernels by what is said of them; each once."""
    grouped: dict[str, dict[str, None]] = {}
    for record in records:
        grouped.setdefault(record["error"], {})[record["kernel"]] = None
    return {error: list(kernels) for error, kernels in grouped.items()}


def unsupported(records: Sequence[Record]) -> tuple[str, ...]:
    """Which kernels cannot take some or all of these problems, and why."""
    grouped = _by_error(r for r in records if r["status"] == "unsupported")
    parts = [f"{', '.join(kernels)} ({reason})" for reason, kernels in grouped.items()]
    return (f"unsupported: {'; '.join(parts)}",) if parts else ()


def sources(addresses: Sequence[str]) -> tuple[str, ...]:
    """Where numbered weights come from; what the addresses begin with is said once."""
    shared = commonprefix(addresses)
    # Whole names only: cut after the last separator.
    shared = shared[: max(shared.rfind(mark) for mark in "/!#:") + 1]
    listed = ", ".join(f"W{i} {address[len(shared) :] or 'random'}" for i, address in enumerate(addresses, start=1))
    return (f"weights{f' from {shared}' if shared else ''}: {listed}",)


def legend(records: Sequence[Record], by: Sequence[str]) -> tuple[str, ...]:
    """What marks and words mean, of those that occur."""
    marks = ["*: the best", "n/m: a mean of n of the m problems, not comparable with the others"]
    if not by:
        marks.insert(1, "±: half of the 95% interval")
    words = [meaning for status, meaning in LEGEND.items() if any(r["status"] == status for r in records)]
    return ("; ".join([*marks, *words]),)


def general(records: Sequence[Record]) -> tuple[str, ...]:
    """What holds for the whole report: libraries that are absent, rivals timed through Python, unsteady samples."""
    missing = _by_error(r for r in records if r["status"] == "unavailable")
    lines = [f"unavailable: {', '.join(kernels)}: {command}" for command, kernels in missing.items()]
    lines += _named("timed through Python, its call included", records, lambda r: r["timed_in"] == "python" and _ran(r))
    remarks = Counter(word for r in records for word in (r["remarks"] or "").split())
    if remarks:
        cases = sum(bool(r["remarks"]) for r in records)
        counts = ", ".join(f"{count} {word}" for word, count in remarks.most_common())
        lines.append(f"unsteady: {cases} of {len(records)} cases ({counts}): see 'remarks' in the CSV")
    return tuple(lines)


def _ran(record: Record) -> bool:
    return record["status"] in ("ok", "mistrusted")


def _named(what: str, records: Sequence[Record], chosen: Callable[[Record], bool]) -> list[str]:
    kernels = list(dict.fromkeys(r["kernel"] for r in records if chosen(r)))
    return [f"{what}: {', '.join(kernels)}"] if kernels else []
