"""Two versions of sparsebench timed in turn: a worker process of each, alive at once, of which one works at a time.

A pair of processes serves all problems of one thread count, in shuffled order; then the next pair does the same, so
that the samples of one case lie spread over the whole comparison. Within a pair, all kernels of a problem take turns in
shuffled order, each with a block of eight samples.
"""

from __future__ import annotations

import json
import math
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from time import monotonic
from typing import IO, Any, Literal, Protocol, get_args

from sparsebench.ab_folder import Key, PairRecord, SideState
from sparsebench.bench.link import read_page
from sparsebench.bench.pool import Worker, WorkerError, cause_of_death, last_line, worker_process
from sparsebench.errors import InputError
from sparsebench.results import Status
from sparsebench.suite import Group

Label = Literal["base", "head"]
LABELS: tuple[Label, ...] = get_args(Label)
_LETTERS: dict[str, Label] = {"A": "base", "B": "head"}
# ABBA and its mirror: a trend that is linear or quadratic in time is the same for both sides. Which comes first is
# drawn for every block, so that nothing periodic stays in step with it.
BLOCKS = ("ABBABAAB", "BAABABBA")
_MODULE = "sparsebench.bench.ab_worker"


@dataclass(frozen=True, slots=True)
class Effort:
    """How much measuring a case is worth.

    Attributes
    ----------
    repeats
        Pairs of processes. In simulation (docs/ab.md) fewer than seven let discrete differences between processes,
        which happen to be alike in all of them, pass for differences between versions.
    seconds
        Time for the samples of one problem in one pair of processes; of each kernel one block at least is taken.
    sample_s, settle_s
        As in `sparsebench.bench.sampler.Effort`.
    """

    repeats: int = 7
    seconds: float = 0.35
    sample_s: float = 2e-3
    settle_s: float = 1e-3


@dataclass(frozen=True, slots=True)
class Settings:
    """Where and how to measure.

    Attributes
    ----------
    roots
        Folders from which base and head import sparsebench.
    cpus, data, time_limit
        As in `sparsebench.bench.pool.Settings`.
    """

    roots: Mapping[Label, Path]
    cpus: tuple[int, ...] = ()
    data: Path | None = None
    effort: Effort = field(default_factory=Effort)
    time_limit: float = 120.0


class Listener(Protocol):
    """Is told how a comparison goes; called only while nothing is being timed."""

    def group_started(self, repeat: int, group: Group) -> None:
        """Hear that both sides prepare a problem."""

    def side_finished(self, label: Label, threads: int, level: str, libraries: dict[str, Any]) -> None:
        """Hear what was really loaded in a worker that has done its problems."""


class SideDiedError(RuntimeError):
    """The worker of one side crashed or was killed because it hung."""

    def __init__(self, label: Label, stage: str, kernel: str, status: Status, error: str) -> None:
        super().__init__(f"{label}: {error}")
        self.label = label
        self.stage = stage
        self.kernel = kernel
        self.state = SideState(status, error)


class Side:
    """The parent's view of one worker: a command, then the event that answers it."""

    def __init__(self, label: Label, worker: Worker, log: IO[bytes], time_limit: float) -> None:
        self.label = label
        self.kernels: dict[str, dict[str, str]] = {}
        self._worker = worker
        self._log = log
        self._time_limit = time_limit

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Return the answer.

        Raises
        ------
        SideDiedError
            If there is none.
        """
        self._worker.tell(json.dumps(command))
        event = self._worker.event(self._time_limit)
        if event is None:
            _, stage, kernel = read_page(self._worker.page)
            status, error = cause_of_death(self._worker, self._time_limit, stage, last_line(self._log))
            raise SideDiedError(self.label, stage, kernel, status, error)
        return event


@contextmanager
def started(label: Label, threads: int, level: str, settings: Settings) -> Iterator[Side]:
    """Start the worker of one side, which ends with the context; `Side.kernels` says what it has, by op and provider.

    Raises
    ------
    InputError
        If the level cannot run on this side.
    WorkerError
        If the worker does not start, or is not the version that it should be.
    """
    root = settings.roots[label]
    with tempfile.TemporaryFile() as log, worker_process(threads, level, log, root, _MODULE) as worker:
        side = Side(label, worker, log, settings.time_limit)
        cpus = list(settings.cpus[:threads]) if threads <= len(settings.cpus) else []
        data = str(settings.data) if settings.data else ""
        try:
            ready = side.ask({"threads": threads, "level": level, "cpus": cpus, "data": data})
        except SideDiedError as error:
            raise WorkerError(str(error)) from error
        if ready["event"] == "refused":
            raise InputError(f"{label}: {ready['message']}")
        if Path(ready["root"]) != root:
            raise WorkerError(f"{label}: sparsebench was imported from {ready['root']}, not from {root}")
        side.kernels = ready["kernels"]
        yield side


def measure(groups: Sequence[Group], settings: Settings, listener: Listener) -> Iterator[list[PairRecord]]:
    """Yield the records of each problem, once for each pair of processes.

    A kernel with which a worker crashes or hangs is that side's loss: both sides start anew, and go on without it.

    Raises
    ------
    InputError
        If neither side can make a problem, or the level cannot run on one of them.
    WorkerError
        If a worker does not start.
    """
    session = _Session(settings, listener)
    for repeat in range(settings.effort.repeats):
        rng = random.Random(repeat)
        for (threads, level), batch in groupby(groups, key=lambda group: (group.threads, group.level)):
            pending = list(batch)
            rng.shuffle(pending)
            yield from session.serve(pending, repeat, threads, level, rng)


class _Session:
    """What pairs of processes hand on to the next: calls per sample, and what has crashed."""

    def __init__(self, settings: Settings, listener: Listener) -> None:
        self._settings = settings
        self._listener = listener
        self._inner: dict[Key, int] = {}
        self._fallen: dict[tuple[Label, Key], SideState] = {}

    def serve(
        self, pending: list[Group], repeat: int, threads: int, level: str, rng: random.Random
    ) -> Iterator[list[PairRecord]]:
        """Measure groups with one pair of processes, or with as many as it takes."""
        while pending:
            with ExitStack() as stack:
                # Which side starts and allocates first is left to chance, too.
                sides = {
                    label: stack.enter_context(started(label, threads, level, self._settings))
                    for label in rng.sample(LABELS, 2)
                }
                try:
                    while pending:
                        self._listener.group_started(repeat, pending[0])
                        yield self._group(sides, pending[0], repeat, rng)
                        del pending[0]
                    for label, side in sides.items():
                        libraries = side.ask({"do": "leave"})["libraries"]
                        self._listener.side_finished(label, threads, level, libraries)
                except SideDiedError as error:
                    if not pending:
                        raise WorkerError(str(error)) from error
                    for kernel in [error.kernel] if error.kernel else pending[0].kernels:
                        self._fallen[error.label, _key(pending[0], kernel)] = error.state

    def _group(self, sides: Mapping[Label, Side], group: Group, repeat: int, rng: random.Random) -> list[PairRecord]:
        states = {label: self._prepare(side, group) for label, side in sides.items()}
        refused = [states[label].get("") for label in LABELS]
        if all(refused):
            raise InputError(str(refused[1] and refused[1].error))
        timed = [k for k in group.kernels if all(k in s and s[k].timed for s in states.values())]
        records = {kernel: PairRecord(*_key(group, kernel), repeat, _NONE, _NONE) for kernel in group.kernels}
        if timed:
            records |= self._rounds(sides, [records[kernel] for kernel in timed], rng)
        for label, side in sides.items():
            if any(state.status != "absent" for state in states[label].values()):
                states[label] |= _states(side.ask({"do": "finish"}))
        return [self._concluded(record, states) for record in records.values()]

    def _prepare(self, side: Side, group: Group) -> dict[str, SideState]:
        """Return the state of each kernel; of "" where the side cannot make the problem at all."""
        known = side.kernels.get(group.problem.op, {})
        able = [k for k in group.kernels if k in known and (side.label, _key(group, k)) not in self._fallen]
        if not able:
            return {}
        event = side.ask({"do": "prepare", "problem": str(group.problem), "kernels": able})
        if event["event"] == "refused":
            return dict.fromkeys(["", *able], SideState("absent", event["message"]))
        return _states(event)

    def _rounds(
        self, sides: Mapping[Label, Side], records: Sequence[PairRecord], rng: random.Random
    ) -> dict[str, PairRecord]:
        """Return the records with their samples; every kernel has as many."""
        effort = self._settings.effort
        for record in records:
            self._inner.setdefault(record.key, 0)
            self._inner[record.key] = self._inner[record.key] or max(
                side.ask({"do": "calibrate", "kernel": record.kernel, "sample_s": effort.sample_s})["inner"]
                for side in sides.values()
            )
        orders = {record.kernel: "" for record in records}
        samples: dict[str, list[float]] = {record.kernel: [] for record in records}
        deadline = monotonic() + effort.seconds
        turns = list(records)
        while True:
            rng.shuffle(turns)
            for record in turns:
                inner = self._inner[record.key]
                command = {"do": "sample", "kernel": record.kernel, "inner": inner}
                command["warm_up"] = math.ceil(inner * min(1.0, effort.settle_s / effort.sample_s))
                block = rng.choice(BLOCKS)
                orders[record.kernel] += block
                samples[record.kernel] += [sides[_LETTERS[letter]].ask(command)["seconds"] / inner for letter in block]
            if monotonic() > deadline:
                break
        return {
            record.kernel: replace(
                record,
                inner=self._inner[record.key],
                order=orders[record.kernel],
                samples_s=tuple(samples[record.kernel]),
            )
            for record in records
        }

    def _concluded(self, record: PairRecord, states: Mapping[Label, Mapping[str, SideState]]) -> PairRecord:
        """Return the record with what became of both sides; a wrong answer has no time."""
        base, head = (
            states[label].get(record.kernel) or self._fallen.get((label, record.key)) or _NONE for label in LABELS
        )
        record = replace(record, base=base, head=head)
        return record if base.timed and head.timed else replace(record, inner=0, order="", samples_s=())


_NONE = SideState("absent", "no such kernel")


def _key(group: Group, kernel: str) -> Key:
    return (group.suite, str(group.problem), kernel, group.threads, group.level)


def _states(event: Mapping[str, Any]) -> dict[str, SideState]:
    return {told["kernel"]: SideState(told["status"], told["error"], told["detail"]) for told in event["results"]}
