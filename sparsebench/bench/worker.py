"""The child process that prepares, verifies and times; one per thread count and instruction-set level.

Run as ``python -m sparsebench.bench.worker`` by `sparsebench.bench.pool`. It reads a job as one JSON line, then sends
one JSON line per event and waits for a line in return, so that the parent's display is drawn while nothing is timed.
See `sparsebench.bench.link`.
"""

from __future__ import annotations

import math
import os
import random
import statistics
import sys
import uuid
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from sparsebench.bench.distance import differ, round_trip_s
from sparsebench.bench.link import Link, Page, die_with_parent

if TYPE_CHECKING:
    from sparsebench.bench.remote import Satellites
    from sparsebench.bench.sampler import Contender, Effort
    from sparsebench.bench.usage import Others
    from sparsebench.bench.verify import Judge
    from sparsebench.kernel import Kernel, Plan
    from sparsebench.layouts import Layout
    from sparsebench.nets.operands import NetworkOperands
    from sparsebench.operands import LastWeights, Operands
    from sparsebench.problem import Problem
    from sparsebench.results import CaseResult
    from sparsebench.suite import Group

# Last-level cache where the system does not tell.
_USUAL_CACHE = 32 << 20


def _copies(problem: Problem, plan: Plan) -> int:
    """How many copies of the weights, as a kernel keeps them, to rotate among: if cold, twice the last-level cache."""
    if problem.cache == "warm":
        return 1
    from sparsebench.bench.machine import cache_sizes

    sizes = cache_sizes()
    last_level = sizes["L3"] or sizes["L2"] or _USUAL_CACHE
    return max(2, -(-2 * last_level // max(plan.packed_bytes, 1)))


def _selection_seconds(plan: Plan) -> float | None:
    """Time the listing of non-zero activations apart, for plans that have one."""
    from sparsebench._kernels._timer import Timer
    from sparsebench.bench.sampler import calibrate

    entry = getattr(plan, "selection_entry", 0)
    if not entry:
        return None
    timer = Timer(entry, [plan.context])
    calls = calibrate(timer, 1e-3)
    return float(statistics.median(timer.seconds(calls) / calls for _ in range(7)))


@dataclass(frozen=True, slots=True)
class _Timing:
    """The timed kernels of a group, and what disturbed them: CPUs that others took, and round trips around it."""

    contenders: list[Contender]
    stopped_by: str
    others: float | None
    before_s: float | None
    after_s: float | None

    @property
    def moved(self) -> bool:
        return differ(self.before_s, self.after_s)

    @property
    def round_trip_s(self) -> float | None:
        return max((found for found in (self.before_s, self.after_s) if found is not None), default=None)


class GroupRun:
    """Measures one group: all kernels of one problem, at one thread count."""

    def __init__(
        self,
        group: Group,
        data: Path | None,
        weights: LastWeights,
        kernels: dict[str, dict[str, Kernel]],
        others: Others,
        page: Page,
        link: Link,
        satellites: Satellites,
    ) -> None:
        self.problem = group.problem
        self.group = group
        self.kernels = [kernels[group.problem.op][name] for name in group.kernels]
        self.data = data
        self.weights = weights
        self.others = others
        self.operands: Operands | NetworkOperands
        self.able: list[Kernel] = []
        self.judge: Judge
        self.page = page
        self.link = link
        self.satellites = satellites
        self.results: dict[str, CaseResult] = {}
        self.plans: dict[str, list[Plan]] = {}
        self.arrays: dict[Layout, tuple[Any, Any]] = {}
        self.id = uuid.uuid4().hex[:12]

    def run(self, effort: Effort) -> list[CaseResult]:
        """Return one result per kernel, measured or not; raises as `prepare` does."""
        self.prepare()
        self._measure(effort)
        return self.finish()

    def prepare(self) -> None:
        """Pack for every kernel that can, and check its answer.

        Raises
        ------
        InputError
            If the problem's weights are bad or too large: that is the user's to mend, not a kernel's failure.
        """
        from sparsebench.bench.verify import judge_of
        from sparsebench.operands import operands_of

        self.page.write("operands")
        self.weights.drop_unless_of(self.problem)
        self.operands = operands_of(self.problem, self.data, self.weights.make)
        for kernel in self.kernels:
            self.results[kernel.name] = self._blank(kernel)
        self.able = [kernel for kernel in self.kernels if self._able(kernel)]
        if self.able:
            self.page.write("reference")
            self.judge = judge_of(self.operands)
            for kernel in self.able:
                self._attempt(kernel.name, "prepare", partial(self._prepare, kernel))
                self._attempt(kernel.name, "verify", partial(self._verify, kernel.name))

    def finish(self) -> list[CaseResult]:
        """Check what timed calls leave, and return one result per kernel."""
        for kernel in self.able:
            self._attempt(kernel.name, "verify", partial(self._verify_timed, kernel.name))
        self.page.write("idle")
        self.satellites.forget()
        return [self.results[kernel.name] for kernel in self.kernels]

    def _blank(self, kernel: Kernel) -> CaseResult:
        from sparsebench.results import blank_result

        result = blank_result(self.group, kernel, "ok", group_id=self.id)
        result.nnz = self.operands.nnz
        result.macs, result.dense_macs = getattr(self.operands, "macs", (None, None))
        if kept := self.operands.kept:
            result.kept_l1, result.kept_l2 = kept.l1, kept.l2_squared
        return result

    def _able(self, kernel: Kernel) -> bool:
        result = self.results[kernel.name]
        if kernel.missing:
            result.status, result.error = "unavailable", kernel.missing
        elif reason := kernel.supports(self.problem):
            result.status, result.error = "unsupported", reason
        return result.status == "ok"

    def _attempt(self, name: str, stage: str, step: Callable[[], None]) -> None:
        """Run one step of one kernel; whatever it raises costs that kernel, not the run."""
        if self.results[name].status not in ("ok", "mistrusted"):
            return
        from sparsebench.bench.remote import RemoteError

        self.page.write(stage, name)
        try:
            step()
        except Exception as error:
            said = str(error) if isinstance(error, RemoteError) else f"{type(error).__name__}: {error}"
            self.results[name].status = "failed"
            self.results[name].error = f"{stage}: {said}"

    def _plan(self, kernel: Kernel, *, apart: bool = False) -> Plan:
        """Prepare a kernel; `apart` on a copy of W, as it may keep the W that it is given."""
        weights: Any = self.operands.weights
        if kernel.runtime:
            return self.satellites.prepare(kernel, self.problem, weights, self.group.threads, apart=apart)
        return kernel.prepare(self.problem, weights.apart() if apart else weights, self.group.threads)

    def _prepare(self, kernel: Kernel) -> None:
        from sparsebench.bench.remote import RemotePlan

        start = perf_counter()
        plan = self._plan(kernel)
        result = self.results[kernel.name]
        # Starting a process and handing weights over is no part of it.
        result.prepare_s = plan.prepare_s if isinstance(plan, RemotePlan) else perf_counter() - start
        result.packed_bytes = plan.packed_bytes
        result.detail = plan.detail
        more = _copies(self.problem, plan) - 1
        self.plans[kernel.name] = [plan, *(self._plan(kernel, apart=True) for _ in range(more))]

    def _arrays(self, layout: Layout) -> tuple[Any, Any]:
        """Return X and Y in a layout, the same arrays for every plan that takes it."""
        from sparsebench.layouts import arrange
        from sparsebench.memory import aligned_empty

        if layout not in self.arrays:
            out = aligned_empty(self.problem.y_shape_in(layout))
            self.arrays[layout] = (arrange(self.operands.x, layout), out)
        return self.arrays[layout]

    def _judge(self, name: str) -> None:
        plan = self.plans[name][0]
        (kernel,) = (kernel for kernel in self.able if kernel.name == name)
        verdict = self.judge.judge(plan, self._arrays(plan.layout)[1], kernel)
        result = self.results[name]
        if math.isfinite(verdict.max_rel_error):
            result.max_rel_error = max(verdict.max_rel_error, result.max_rel_error or 0.0)
        if verdict.status != "ok":
            result.status, result.error = verdict.status, verdict.error
        if verdict.status == "wrong":
            # A wrong answer has no time.
            result.samples_s, result.rounds = [], 0
            result.median_s = result.ci_low_s = result.ci_high_s = None

    def _verify(self, name: str) -> None:
        from sparsebench.bench.verify import poison

        x, out = self._arrays(self.plans[name][0].layout)
        # The last of several copies first: afterwards every one is bound, and the first has the output checked.
        for plan in reversed(self.plans[name]):
            poison(out)
            plan.run(x, out)
        self._judge(name)

    def _verify_timed(self, name: str) -> None:
        """Check what a *timed* call left: a kernel that skips work when nobody looks is found here."""
        from sparsebench.bench.remote import RemotePlan
        from sparsebench.bench.sampler import timer_for
        from sparsebench.bench.verify import poison
        from sparsebench.kernel import PythonPlan

        plan = self.plans[name][0]
        poison(self._arrays(plan.layout)[1])
        if isinstance(plan, RemotePlan):
            plan.spoil()
        timer_for([plan]).seconds(1)
        if isinstance(plan, PythonPlan | RemotePlan):
            plan.collect()
        self._judge(name)

    def contenders(self) -> list[Contender]:
        """Return the kernels whose answers are right so far, to be timed."""
        from sparsebench.bench.sampler import Contender, timer_for

        return [
            Contender(name, timer_for(self.plans[name]), self.satellites.cpu_seconds)
            for name, result in self.results.items()
            if result.status in ("ok", "mistrusted")
        ]

    def _timed(self, effort: Effort) -> _Timing:
        """Time the kernels in turn, a second time where the machine was disturbed meanwhile; the calmer time counts.

        Which one that is says nothing of the times themselves, so the choice does not favour fast ones.
        """
        timings = [self._timed_once(effort)]
        if self.others.worth_another(timings[0].others, self.group.threads, 1) or timings[0].moved:
            timings.append(self._timed_once(effort))
            self.others.worth_another(timings[1].others, self.group.threads, 2)
        return min(timings, key=lambda timing: (timing.moved, timing.others or 0.0))

    def _timed_once(self, effort: Effort) -> _Timing:
        from sparsebench.bench.sampler import measure

        contenders = self.contenders()
        # crc32: the order of rounds is the same in every run of the same problem, and differs between problems.
        rng = random.Random(zlib.crc32(str(self.problem).encode()))
        before = round_trip_s(self.group.threads)
        self.others.mark()
        stopped_by = measure(contenders, effort, rng, lambda name: self.page.write("measure", name))
        others = self.others.cpus()
        return _Timing(contenders, stopped_by, others, before, round_trip_s(self.group.threads))

    def _measure(self, effort: Effort) -> None:
        from sparsebench.bench.stats import median_interval
        from sparsebench.nets.compile import CompiledNetwork

        names = [contender.name for contender in self.contenders()]
        if not names:
            return
        self.page.write("idle")
        self.link.send({"event": "measuring", "kernels": names})
        timing = self._timed(effort)
        for contender in timing.contenders:
            interval = median_interval(contender.samples_s)
            result = self.results[contender.name]
            result.samples_s = contender.samples_s
            result.inner = contender.inner
            result.rounds = len(contender.samples_s)
            result.stopped_by = timing.stopped_by
            result.others_cpus = None if timing.others is None else round(timing.others, 3)
            result.round_trip_s = timing.round_trip_s
            result.busy_threads = round(contender.cpu_s / contender.elapsed_s, 3)
            result.median_s, result.ci_low_s, result.ci_high_s = interval.estimate, interval.low, interval.high
            plan = self.plans[contender.name][0]
            result.selection_s = _selection_seconds(plan)
            if isinstance(plan, CompiledNetwork):
                result.layers = [asdict(row) for row in plan.report()]


def main(receive_fd: int, send_fd: int, page_fd: int) -> None:
    """Measure the groups of one job in order."""
    die_with_parent()
    link = Link(os.fdopen(receive_fd, encoding="utf-8"), os.fdopen(send_fd, "w", encoding="utf-8"))
    page = Page(page_fd)
    page.write("start")
    job = link.job()
    if hasattr(os, "sched_setaffinity") and job["cpus"]:
        # Before any library starts threads: they inherit it.
        os.sched_setaffinity(0, job["cpus"])

    from sparsebench import tuning
    from sparsebench.bench.machine import loaded_libraries
    from sparsebench.bench.remote import Satellites
    from sparsebench.bench.sampler import Effort
    from sparsebench.bench.usage import Others
    from sparsebench.errors import InputError, UnavailableError
    from sparsebench.operands import LastWeights
    from sparsebench.registry import all_kernels
    from sparsebench.suite import Group

    try:
        known = all_kernels(job["level"])
    except UnavailableError as error:
        link.send({"event": "input_error", "message": str(error)})
        return
    if job["tune"]:
        os.environ[tuning.VARIABLE] = "1"
    effort = Effort(**job["effort"])
    data = Path(job["data"]) if job["data"] else None
    weights = LastWeights()
    page.write("idle")
    # The parent counts the start itself, from before this process existed.
    page.take_seconds()
    with Satellites() as satellites:
        others = Others(own=satellites.cpu_seconds)
        for group in job["groups"]:
            link.send({"event": "group"})
            run = GroupRun(Group.from_json(group), data, weights, known, others, page, link, satellites)
            try:
                results = run.run(effort)
            except InputError as error:
                link.send({"event": "input_error", "message": str(error)})
                return
            records = [result.to_json() for result in results]
            link.send({"event": "results", "results": records, "seconds": page.take_seconds()})
        libraries = loaded_libraries() | {"satellites": satellites.leave()}
    link.send({"event": "done", "libraries": libraries})


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:4]))
