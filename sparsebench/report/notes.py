"""What is said below tables: what did not run and why, where weights come from, what words mean."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from os.path import commonprefix

from sparsebench.bench.doubts import REMARKS, RUNNING
from sparsebench.report.cells import WORDS, Table
from sparsebench.report.frame import Record

# Of a wheel's member: 64 digits that nobody reads.
_DIGEST = re.compile("@sha256=[0-9a-fA-F]{64}")
LEGEND = {
    "wrong": "the result is not that of float64",
    "mistrusted": "nearly all of the right answer is zero, so it proves little",
    "failed": "it raised an error or crashed",
    "timeout": "it took too long",
    "unavailable": "a library is absent",
    "unsupported": "not for this problem",
}


def troubles(records: Iterable[Record], places: Mapping[str, str]) -> tuple[str, ...]:
    """Make one note per kernel and status other than ok: the first problem, by its name in `places`, and its error."""
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


def unavailable(records: Iterable[Record]) -> list[str]:
    """Say which kernels' libraries are absent, with the commands that install them."""
    missing = _by_error(r for r in records if r["status"] == "unavailable")
    return [f"unavailable: {', '.join(kernels)}: {command}" for command, kernels in missing.items()]


def unsupported(records: Iterable[Record]) -> list[str]:
    """Say which kernels cannot take some of the problems, each with the first reason it gave."""
    reasons: dict[str, str] = {}
    for record in records:
        if record["status"] == "unsupported":
            reasons.setdefault(record["kernel"], record["error"])
    kernels: dict[str, list[str]] = {}
    for kernel, reason in reasons.items():
        kernels.setdefault(reason, []).append(kernel)
    parts = [f"{', '.join(names)} ({reason})" for reason, names in kernels.items()]
    return [f"not for every problem: {'; '.join(parts)}"] if parts else []


def sources(addresses: Sequence[str]) -> tuple[str, ...]:
    """Say where weights come from, numbered if there are several; "" is random.

    What the addresses begin with is said once, a file's name once for all that is in it; digests are left to the CSV.
    """
    addresses = [_DIGEST.sub("", address) for address in addresses]
    if len(addresses) == 1:
        return (f"weights: {addresses[0]}",) if addresses[0] else ()
    # By characters, then cut after a separator: an address is more than a path.
    shared = commonprefix(addresses)  # noqa: RUF071
    shared = shared[: max(shared.rfind(mark) for mark in "/!#") + 1]
    by_file: dict[str, list[str]] = {}
    for number, address in enumerate(addresses, start=1):
        file, mark, name = address[len(shared) :].rpartition("!")
        by_file.setdefault(file + mark, []).append(f"W{number} {name or 'random'}")
    return tuple(
        f"weights{f' from {shared}{file}' if shared or file else ''}: {', '.join(names)}"
        for file, names in by_file.items()
    )


def legend(tables: Sequence[Table], records: Sequence[Record]) -> tuple[str, ...]:
    """Say what marks and words mean, of those that occur."""
    cells = [cell for table in tables for row in table.rows for cell in row.cells]
    marks = []
    if any(cell.best for cell in cells):
        marks.append("*: the best")
    if any("±" in cell.detail for cell in cells):
        marks.append("±: half of the 95% interval")
    if any("/" in cell.detail for cell in cells):
        marks.append("n/m: a mean of n of the m problems, not comparable with the others")
    used = {cell.text for cell in cells}
    marks += [f"{WORDS[status]}: {meaning}" for status, meaning in LEGEND.items() if WORDS[status] in used]
    return ("; ".join(marks),) if marks else ()


def general(records: Sequence[Record], warnings: Sequence[str] = ()) -> tuple[str, ...]:
    """Say what holds for the whole report: libraries that are absent, rivals timed through Python, unsteady samples.

    `warnings` are those of the runs.
    """
    lines = [*unavailable(records), *unsupported(records)]
    lines += _named("timed through Python, its call included", records, lambda r: r["timed_in"] == "python" and _ran(r))
    remarks = Counter(word for r in records for word in (r["remarks"] or "").split())
    if remarks:
        cases = sum(bool(r["remarks"]) for r in records)
        counts = ", ".join(f"{count} {word}" for word, count in remarks.most_common())
        lines.append(f"unsteady: {cases} of {len(records)} cases ({counts}): see 'remarks' in the CSV")
        lines += [f"{word}: {REMARKS[word]}" for word, _ in remarks.most_common()]
    lines += _idle(records)
    lines += [f"warning: {warning}" for warning in warnings]
    return tuple(lines)


def _idle(records: Sequence[Record]) -> list[str]:
    """Say which kernels had less CPU time than their threads: they shared CPUs, or used fewer, as small problems do."""
    kernels = Counter(
        r["kernel"] for r in records if _ran(r) and r["busy_threads"] and r["busy_threads"] < RUNNING * r["threads"]
    )
    listed = ", ".join(f"{kernel} {count}" for kernel, count in kernels.most_common())
    return [f"ran for under {RUNNING:.0%} of the time of the threads asked for, by cases: {listed}"] if kernels else []


def _ran(record: Record) -> bool:
    return record["status"] in ("ok", "mistrusted")


def _named(what: str, records: Sequence[Record], chosen: Callable[[Record], bool]) -> list[str]:
    kernels = list(dict.fromkeys(r["kernel"] for r in records if chosen(r)))
    return [f"{what}: {', '.join(kernels)}"] if kernels else []
