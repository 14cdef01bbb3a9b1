"""From the pairs of processes of ``sparsebench ab`` to a verdict on every case, and what the exit code says of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sparsebench.ab_folder import AbFolder, Key, PairRecord, SideState
from sparsebench.bench.ab_stats import VERDICTS, Change, Criteria, change, pair_log_ratio, verdicts
from sparsebench.bench.machine import key_hash
from sparsebench.errors import EXIT_FAILED, EXIT_OK, EXIT_THRESHOLD, EXIT_UNDECIDED, EXIT_WRONG

# The last five have no times to compare: head is wrong, or crashed; or base did; or only one side has the case.
Outcome = Literal["slower", "faster", "same", "undecided", "wrong", "failed", "unknown", "new", "gone"]
BROKEN = ("wrong", "failed", "timeout")


@dataclass(frozen=True, slots=True)
class Case:
    """One case on both sides.

    Attributes
    ----------
    change
        Head's time over base's; None where one side has no right answer.
    base_s, head_s
        Medians of all samples, seconds per call.
    note
        Why there is no comparison, or what the plans chose where that differs.
    """

    suite: str
    problem: str
    kernel: str
    threads: int
    level: str
    outcome: Outcome
    change: Change | None = None
    base_s: float | None = None
    head_s: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class KernelSummary:
    """All compared cases of a kernel; `change` is that of the geometric mean of their times."""

    kernel: str
    change: Change
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What ``sparsebench ab`` found.

    Attributes
    ----------
    record
        Contents of ``ab.json``.
    strict
        Whether undecided and vanished cases count as no verdict.
    """

    path: str
    machine: str
    record: Mapping[str, Any]
    criteria: Criteria
    cases: tuple[Case, ...]
    kernels: tuple[KernelSummary, ...]
    warnings: tuple[str, ...] = ()
    strict: bool = False

    def of(self, outcome: Outcome) -> list[Case]:
        """Return the cases with an outcome, those that changed most first."""
        found = [case for case in self.cases if case.outcome == outcome]
        return sorted(found, key=lambda case: -abs(case.change.estimate) if case.change else 0.0)

    @property
    def counts(self) -> Counter[str]:
        """How many cases have each outcome."""
        return Counter(case.outcome for case in self.cases)

    @property
    def exit_code(self) -> int:
        """Return 3 if head is wrong, 4 if it failed, 1 if something is slower, 5 without a verdict, else 0.

        There is none if no case was decided, or not all was measured; with `strict`, if any case is undecided, has no
        right answer of base's to compare with, or is gone.
        """
        counts = self.counts
        if counts["wrong"]:
            return EXIT_WRONG
        if counts["failed"]:
            return EXIT_FAILED
        if counts["slower"]:
            return EXIT_THRESHOLD
        decided = counts["faster"] + counts["same"]
        open_ = counts["undecided"] + counts["unknown"] + counts["gone"]
        if not decided or "finished" not in self.record or (self.strict and open_):
            return EXIT_UNDECIDED
        return EXIT_OK


def compare(folder: AbFolder, criteria: Criteria, *, strict: bool = False) -> Comparison:
    """Judge all cases of a comparison."""
    records: dict[Key, list[PairRecord]] = {}
    for record in folder.pairs():
        records.setdefault(record.key, []).append(record)
    measured = {key: found for key, found in records.items() if all(record.samples_s for record in found)}
    ratios = {key: [pair_log_ratio(r.order, r.samples_s) for r in found] for key, found in measured.items()}
    changes = [change(values, criteria.confidence) for values in ratios.values()]
    times = [tuple(_median(found, letter) for letter in "AB") for found in measured.values()]
    judged = verdicts(changes, [base_s for base_s, _ in times], criteria)
    cases = []
    compared = dict(zip(measured, zip(changes, times, judged, strict=True), strict=True))
    for key, found in records.items():
        if key in compared:
            changed, (base_s, head_s), verdict = compared[key]
            cases.append(Case(*key, verdict, changed, base_s, head_s, _choices(found[-1])))
        elif (case := _incomparable(key, found)) is not None:
            cases.append(case)
    return Comparison(
        path=str(folder.path),
        machine=key_hash(folder.record["machine"]),
        record=folder.record,
        criteria=criteria,
        cases=tuple(cases),
        kernels=tuple(_summaries(cases, ratios, criteria)),
        warnings=tuple(folder.warnings()),
        strict=strict,
    )


def _median(records: Sequence[PairRecord], letter: str) -> float:
    samples = [s for r in records for s, side in zip(r.samples_s, r.order, strict=True) if side == letter]
    return float(np.median(samples))


def _choices(record: PairRecord) -> str:
    before, after = record.base.detail, record.head.detail
    return f"base chose {before or 'nothing'}, head {after or 'nothing'}" if before != after else ""


def _incomparable(key: Key, records: Sequence[PairRecord]) -> Case | None:
    """Return a case that lacks times on a side; None if neither side has it at all."""
    base, head = _worst([r.base for r in records]), _worst([r.head for r in records])
    if head.status in BROKEN:
        return Case(*key, "wrong" if head.status == "wrong" else "failed", note=head.error)
    if head.timed:
        if base.status in BROKEN:
            return Case(*key, "unknown", note=f"base: {base.status}: {base.error}")
        return Case(*key, "new", note=f"base: {base.error}")
    if base.timed or base.status in BROKEN:
        return Case(*key, "gone", note=f"head: {head.error}")
    return None


def _worst(states: Sequence[SideState]) -> SideState:
    ranks = {"wrong": 0, "failed": 1, "timeout": 1, "mistrusted": 3, "ok": 4}
    return min(states, key=lambda state: ranks.get(state.status, 2))


def _summaries(cases: Sequence[Case], ratios: Mapping[Key, Sequence[float]], criteria: Criteria) -> list[KernelSummary]:
    """Sum kernels up, in order of appearance.

    The log-ratios of all cases in one pair of processes are averaged first: what moves all of them at once is then
    part of what differs between pairs.
    """
    by_kernel: dict[str, list[Case]] = {}
    for case in cases:
        if case.change is not None:
            by_kernel.setdefault(case.kernel, []).append(case)
    found = []
    for kernel, mine in by_kernel.items():
        values = [ratios[case.suite, case.problem, case.kernel, case.threads, case.level] for case in mine]
        whole = max(map(len, values))
        means = np.mean([value for value in values if len(value) == whole], axis=0)
        counts = Counter(case.outcome for case in mine)
        found.append(KernelSummary(kernel, change(means, criteria.confidence), {v: counts[v] for v in VERDICTS}))
    return found
