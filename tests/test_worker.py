"""Groups measured in this process, with what the worker's surroundings would be made up."""

from __future__ import annotations

from typing import Any

import pytest

from sparsebench import isa
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


def measured(others: Others) -> CaseResult:
    problem = Problem.parse("matmul:48x64x5:unstructured+0.9:f32")
    group = Group("test", problem, ("csr",), 1, isa.active(), "csr")
    known = all_kernels(isa.active())
    (result,) = GroupRun(group, None, LastWeights(), known, others, Page(), Link()).run(QUICK)  # type: ignore[arg-type]
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
