"""The best rival against ours: of each problem the fastest dense rival, the fastest sparse one, and our fastest kernel.

Rivals are other libraries' kernels that compute the same in float32. One in bfloat16 is no rival, nor is an engine that
was given other weights than the problem's, to show what it makes of zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparsebench.bench.stats import Interval, ratio_interval
from sparsebench.errors import InputError
from sparsebench.kernel import OURS
from sparsebench.report.frame import Record
from sparsebench.report.kernel_kinds import is_dense, is_peer
from sparsebench.results import CaseResult

if TYPE_CHECKING:
    from sparsebench.report.loaded import Loaded


# docs/fairness.md in short, for those who have the page alone.
FAIRNESS = (
    "All kernels of a problem compute on the same operands and CPUs, in turn in shuffled rounds, and every answer is"
    " checked against float64.",
    "Of the ways in which a library can compute a problem the fastest is kept; 'detail' of a case says which.",
    "Timed is a call: what packs weights or compiles a model is not, what reorders X and Y inside of a call is."
    " Libraries that are called from Python pay for that, up to 10 microseconds a call.",
    "Libraries with threads of their own run in a process of their own, which sleeps while others are timed.",
    "Everything is in float32; kernels in bfloat16 are nobody's best rival.",
    "Rivals run networks with ReLU in place of k-winners, which no engine has. Those called net-dense have weights"
    " without zeros, to show what an engine makes of zeros, and are nobody's best rival either.",
    "More: docs/fairness.md of sparsebench.",
)


@dataclass(frozen=True, slots=True)
class Best:
    """The fastest of its kind: seconds of a call, and its speed-up over the best dense rival."""

    kernel: str
    seconds: float
    speedup: Interval


@dataclass(frozen=True, slots=True)
class Contest:
    """One problem at one thread count, measured in the same rounds; `record` is a case of it, for labels.

    `sparse` is None where no sparse rival takes the problem.
    """

    record: Record
    dense: Best
    sparse: Best | None
    ours: Best

    @property
    def over_sparse(self) -> float | None:
        """Return our speed-up over the best sparse rival."""
        return None if self.sparse is None else self.ours.speedup.estimate / self.sparse.speedup.estimate


def find(loaded: Loaded) -> list[Contest]:
    """Return every problem that a sparse kernel of ours and a dense rival were measured on."""
    groups: dict[str, list[tuple[Record, CaseResult]]] = {}
    for record, case in zip(loaded.records, loaded.results, strict=True):
        if case.status == "ok" and case.samples_s and case.group and is_peer(case.kernel):
            groups.setdefault(f"{record.get('run')} {case.group}", []).append((record, case))
    return [contest for part in groups.values() if (contest := _contest(part)) is not None]


def require(found: Sequence[Contest]) -> None:
    """Refuse an empty answer.

    Raises
    ------
    InputError
        Saying which run would have one.
    """
    if not found:
        raise InputError(
            "--peers: no sparse kernel of ours was measured beside a dense one of another library;"
            " the suite for this is: sparsebench run peers"
        )


def _contest(part: Sequence[tuple[Record, CaseResult]]) -> Contest | None:
    cases = [case for _, case in part]
    rivals = [case for case in cases if case.provider != OURS]
    dense = _fastest(case for case in rivals if is_dense(case.kernel))
    ours = _fastest(case for case in cases if case.provider == OURS and not is_dense(case.kernel))
    if dense is None or ours is None:
        return None
    sparse = _fastest(case for case in rivals if not is_dense(case.kernel))
    (record,) = (record for record, case in part if case is ours)
    best_sparse = None if sparse is None else _best(sparse, dense)
    return Contest(record, _best(dense, dense), best_sparse, _best(ours, dense))


def _fastest(cases: Iterable[CaseResult]) -> CaseResult | None:
    return min(cases, key=lambda case: case.median_s or 0.0, default=None)


def _best(case: CaseResult, dense: CaseResult) -> Best:
    if case is dense:
        return Best(case.kernel, case.median_s or 0.0, Interval(1.0, 1.0, 1.0))
    return Best(case.kernel, case.median_s or 0.0, ratio_interval(dense.samples_s, case.samples_s))
