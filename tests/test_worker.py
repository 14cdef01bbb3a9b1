"""Groups measured in this process, with what the worker's surroundings would be made up."""

from __future__ import annotations

from typing import Any

import pytest

from sparsebench import isa
from sparsebench.bench import worker
from sparsebench.bench.remote import Satellites
from sparsebench.bench.sampler import Effort
from sparsebench.bench.usage import Others
from sparsebench.bench.worker import GroupRun
from sparsebench.operands import LastWeights
from sparsebench.problem import Problem
from sparsebench.registry import all_kernels
from sparsebench.results import CaseResult
from sparsebench.suite import Group

QUICK = Effort(min_rounds=3, max_rounds=3, sample_s=1e-5, settle_s=1e-6)


class Page:
    def write(self, stage: str, kernel: str = "") -> None:
        pass


class Link:
    def send(self, event: dict[str, Any]) -> str:
        return "\n"


class MadeUp(Others):
    """Others who take so much in the first timing, in the second ..."""

    def __init__(self, *taken: float | None) -> None:
        super().__init__()
        self.left = list(taken)

    def cpus(self) -> float | None:
        return self.left.pop(0)


def measured(others: Others, threads: int = 1) -> CaseResult:
    problem = Problem.parse("matmul:48x64x5:unstructured+0.9:f32")
    group = Group("test", problem, ("csr",), threads, isa.active(), "csr")
    known = all_kernels(isa.active())
    (result,) = GroupRun(group, None, LastWeights(), known, others, Page(), Link(), Satellites()).run(QUICK)  # type: ignore[arg-type]
    assert result.status == "ok" and len(result.samples_s) == 3
    return result


@pytest.mark.parametrize(
    ("taken", "recorded"),
    [((0.01,), 0.01), ((0.9, 0.2), 0.2), ((0.2, 0.9), 0.2), ((0.9, 0.0), 0.0), ((None,), None)],
)
def test_a_group_that_was_disturbed_is_timed_twice(taken: tuple[float | None, ...], recorded: float | None) -> None:
    others = MadeUp(*taken)
    assert measured(others).others_cpus == recorded
    assert others.left == []


def test_where_it_does_not_help_nothing_is_timed_twice_again() -> None:
    others = MadeUp(0.9, 0.8, 0.9, 0.9)
    assert [measured(others).others_cpus for _ in range(3)] == [0.8, 0.9, 0.9]


@pytest.mark.parametrize(
    ("trips_ns", "recorded_ns"),
    [
        ([50, 70], 70),
        ([50, 370, 60, 50], 60),
        ([50, 370, 370, 60], 370),
        ([None, 370], 370),
        ([None, None], None),
    ],
)
def test_a_group_is_timed_twice_if_its_cpus_were_moved(
    trips_ns: list[float | None], recorded_ns: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = list(trips_ns)
    monkeypatch.setattr(worker, "round_trip_s", lambda threads: left.pop(0))
    assert measured(MadeUp(*[0.0] * 2), threads=2).round_trip_s == recorded_ns
    assert left == []
