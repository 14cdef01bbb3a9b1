from __future__ import annotations

import random

import numpy as np
import pytest

from sparsebench.bench import sampler
from sparsebench.bench.sampler import Contender, Effort, PythonTimer, calibrate, measure, python_call_seconds, timer_for
from sparsebench.kernel import PythonPlan


class Clock:
    """A timer that needs no time: every call takes `cost` seconds, and `noise` of it more or less."""

    def __init__(self, cost: float, noise: float = 0.0, seed: int = 0) -> None:
        self.cost = cost
        self.noise = noise
        self.calls: list[tuple[int, int]] = []
        self._rng = random.Random(seed)

    def seconds(self, calls: int, warm_up: int = 0) -> float:
        self.calls.append((calls, warm_up))
        return self.cost * calls * (1 + self.noise * self._rng.uniform(-1, 1))


@pytest.mark.parametrize("cost", [1e-9, 3e-6, 1.9e-3, 5.0])
def test_a_sample_is_long_enough_and_not_much_longer(cost: float) -> None:
    calls = calibrate(Clock(cost), 2e-3)
    assert calls >= 1
    assert calls * cost >= 2e-3
    assert calls == 1 or calls * cost < 2e-3 * 13


def test_what_disturbs_one_call_does_not_make_samples_short() -> None:
    clock = Clock(1e-6)
    seconds, disturbed = clock.seconds, iter([0.2])
    clock.seconds = lambda calls, warm_up=0: next(disturbed, 0.0) + seconds(calls, warm_up)  # type: ignore[method-assign]
    assert calibrate(clock, 2e-3) * clock.cost >= 2e-3


def test_steady_contenders_end_the_rounds_early() -> None:
    contenders = [Contender("a", Clock(1e-6, 1e-3)), Contender("b", Clock(2e-6, 1e-3, seed=1))]
    assert measure(contenders, Effort(seconds=60), random.Random(0)) == "precise"
    assert len(contenders[0].samples_s) == len(contenders[1].samples_s) < Effort().max_rounds
    assert np.median(contenders[1].samples_s) / np.median(contenders[0].samples_s) == pytest.approx(2, rel=1e-2)


def test_noisy_contenders_get_all_rounds() -> None:
    contenders = [Contender("a", Clock(1e-6, 0.9))]
    assert measure(contenders, Effort(seconds=60, max_rounds=23), random.Random(0)) == "rounds"
    assert len(contenders[0].samples_s) == 23


def test_time_up_keeps_the_least_rounds() -> None:
    contenders = [Contender("a", Clock(1e-6, 0.9)), Contender("b", Clock(1e-6, 0.9))]
    assert measure(contenders, Effort(seconds=1e-9, min_rounds=5), random.Random(0)) == "budget"
    assert [len(c.samples_s) for c in contenders] == [5, 5]


def test_every_round_times_every_contender_once_in_shuffled_order() -> None:
    order: list[str] = []
    contenders = [Contender(name, Clock(1e-6, 0.9, seed)) for seed, name in enumerate("abcd")]
    measure(contenders, Effort(seconds=60, max_rounds=12), random.Random(0), order.append)
    rounds = [order[4 + 4 * i : 8 + 4 * i] for i in range(12)]
    assert all(sorted(names) == list("abcd") for names in rounds)
    assert len({tuple(names) for names in rounds}) > 1


def test_a_sample_is_preceded_by_a_call_that_is_not_counted() -> None:
    clock = Clock(1e-6)
    measure([Contender("a", clock)], Effort(max_rounds=11), random.Random(0))
    assert all(warm_up >= 1 for _, warm_up in clock.calls[-11:])
    slow = Clock(1.0)
    measure([Contender("a", slow)], Effort(max_rounds=11), random.Random(0))
    assert slow.calls[-11:] == [(1, 1)] * 11


def test_python_plans_take_turns() -> None:
    seen: list[int] = []
    timer = PythonTimer([lambda: seen.append(0), lambda: seen.append(1), lambda: seen.append(2)])
    assert timer.seconds(4, 1) > 0
    assert timer.seconds(1) > 0
    assert seen == [0, 1, 2, 0, 1, 2]


def test_the_native_timer_calls_every_context_in_turn() -> None:
    from sparsebench._kernels._timer import Timer, empty_call_seconds

    from sparsebench.operands import make_operands
    from sparsebench.patterns import parse_pattern
    from sparsebench.problem import Problem
    from sparsebench.registry import kernels

    problem = Problem("matmul", 8, 8, 4, parse_pattern("unstructured"), 0.5)
    operands = make_operands(problem)
    outputs = [np.zeros((8, 4), np.float32) for _ in range(3)]
    plans = [kernels()["csr"].prepare(problem, operands.weights, 1) for _ in outputs]
    for plan, out in zip(plans, outputs, strict=True):
        plan.bind(operands.x, out)
    timer = timer_for(plans)
    timer.seconds(2)
    assert [bool(out.any()) for out in outputs] == [True, True, False]
    timer.seconds(1)
    assert outputs[2].any()
    assert 0 < empty_call_seconds(1000) < 1
    with pytest.raises(ValueError, match="entry is 0"):
        Timer(0, [0])
    with pytest.raises(ValueError, match="at least one context"):
        Timer(1, [])


def test_python_plan_collects_a_new_array_only_when_asked() -> None:
    x, out = np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)
    plan = PythonPlan(lambda a, _: a * 2, 0)
    with pytest.raises(ValueError, match="before call"):
        plan.call()
    plan.bind(x, out)
    plan.call()
    assert not out.any()
    plan.collect()
    assert (out == 2).all()


def test_a_python_call_costs_something() -> None:
    assert 0 < python_call_seconds(1000) < 1


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_clock_that_does_not_run_is_an_error(seconds: float) -> None:
    class Broken(Clock):
        def seconds(self, calls: int, warm_up: int = 0) -> float:
            return 1.0 if calls == 1 and not warm_up else seconds

    with pytest.raises(ValueError, match=r"^csr: 1 calls took .* s: that is no time"):
        measure([Contender("csr", Broken(1.0))], Effort(), random.Random(0))


def test_how_many_threads_ran_is_found_from_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, elapsed = iter([0.0, 0.3, 1.0, 1.5]), iter([0.0, 0.1, 1.0, 1.3])
    monkeypatch.setattr(sampler, "perf_counter", lambda: next(elapsed))
    contender = Contender("csr", Clock(1e-3), lambda: next(cpu))
    contender.sample()
    contender.sample()
    assert contender.cpu_s / contender.elapsed_s == pytest.approx(0.8 / 0.4)


def race(*costs: float) -> tuple[int, list[int]]:
    """The quickest of plans that take so long a call, and how often each was timed."""
    clocks = [Clock(cost) for cost in costs]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sampler, "timer_for", lambda plans: plans[0])
        patched.setattr(sampler, "calibrate", lambda timer, sample_s: 1)
        return sampler.quickest(clocks), [len(clock.calls) for clock in clocks]  # type: ignore[arg-type]


def test_the_quickest_of_several_plans() -> None:
    assert race(2e-3, 1e-3, 1.1e-3) == (1, [2, 5, 5])
    assert race(1e-3) == (0, [5])


def test_long_plans_are_timed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(100))
    monkeypatch.setattr(sampler, "monotonic", lambda: float(next(now)))
    assert race(2.0, 1.0) == (1, [2, 2])
