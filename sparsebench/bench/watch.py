"""Watches a run while it is measured: what disturbs it, what was really loaded, and where its time goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Protocol

from sparsebench import locks
from sparsebench.bench import doubts, machine
from sparsebench.bench.pool import Listener, Spent
from sparsebench.bench.usage import between, usage
from sparsebench.run_folder import RunFolder
from sparsebench.suite import Group

# Stages that are no overhead: what a run is for, and what is timed and reported apart.
_WORK = {"measure": "measuring", "prepare": "packing"}
# Shares of overhead below this are not told one by one.
_TELL = 0.005


@dataclass(frozen=True, slots=True)
class Watch:
    """Hears what the listener hears, and keeps what the run's record needs.

    Attributes
    ----------
    spent
        Seconds by stage, see `pool.run_groups`.
    libraries
        By worker, what `machine.loaded_libraries` found in it.
    found
        Doubts about workers.
    """

    listener: Listener
    spent: Spent = field(default_factory=lambda: defaultdict(float))
    libraries: dict[str, Any] = field(default_factory=dict)
    found: list[doubts.Doubt] = field(default_factory=list)

    def group_started(self, group: Group) -> None:
        """Pass it on."""
        self.listener.group_started(group)

    def measuring(self, group: Group, kernels: Sequence[str]) -> None:
        """Pass it on."""
        self.listener.measuring(group, kernels)

    def worker_finished(self, threads: int, level: str, libraries: dict[str, Any]) -> None:
        """Keep what the worker had loaded."""
        self.libraries[f"threads={threads} level={level}"] = libraries
        self.found.extend(doubts.of_libraries(threads, libraries))
        self.listener.worker_finished(threads, level, libraries)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the body to a stage."""
        start = monotonic()
        yield
        self.spent[name] += monotonic() - start


class Record(Protocol):
    """What is written down of a measurement."""

    def warn(self, warning: str) -> None:
        """Add a warning, once."""

    def update(self, **entries: Any) -> None:
        """Set entries."""


@contextmanager
def disturbance(record: Record, cpus: Sequence[int]) -> Iterator[None]:
    """Watch for what disturbs the body, which measures on `cpus`, and record it and what it makes doubtful.

    A body that raises leaves the record as it is.
    """
    key, before, used = machine.machine_key(), machine.conditions(), usage()
    at_first = doubts.of_conditions(key, before)
    _warn(record, at_first)
    with locks.measuring(record.warn):
        yield
    after = machine.conditions()
    during = between(used, usage(), cpus)
    # The load is our own by now, and what was stolen is known for the time of the run alone.
    at_last = doubts.of_conditions(key, after | {"load": [0.0, 0.0, 0.0], "steal_share": None})
    known = {doubt.what for doubt in at_first}
    _warn(record, [*(doubt for doubt in at_last if doubt.what not in known), *doubts.of_usage(during, cpus)])
    record.update(conditions_after=after, disturbance=during)


@contextmanager
def watching(folder: RunFolder, listener: Listener, cpus: Sequence[int]) -> Iterator[Watch]:
    """Watch the body, which measures a run on `cpus`, and finish the record of the run.

    A body that raises leaves the record as it is: the run is not finished.
    """
    watch, start = Watch(listener), monotonic()
    with disturbance(folder, cpus):
        yield watch
        watch.spent["wall"] += monotonic() - start
    _warn(folder, [*watch.found, *doubts.of_results(folder.results())])
    folder.update(
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        libraries=folder.run.get("libraries", {}) | watch.libraries,
        seconds=dict(watch.spent),
    )


def _warn(record: Record, found: Sequence[doubts.Doubt]) -> None:
    for doubt in found:
        record.warn(str(doubt))


def overhead(seconds: Mapping[str, float]) -> float:
    """Return the share of the wall time of a run that went neither into measuring nor into packing."""
    return 1 - sum(seconds.get(stage, 0.0) for stage in _WORK) / seconds["wall"]


def account(seconds: Mapping[str, float]) -> str:
    """Say where the time of a run went, from the ``seconds`` of its record: one line."""
    wall = seconds["wall"]
    work = ", ".join(f"{seconds.get(stage, 0.0) / wall:.0%} {word}" for stage, word in _WORK.items())
    rest = {stage: spent for stage, spent in seconds.items() if stage not in (*_WORK, "wall")}
    rest["other"] = wall - sum(spent for stage, spent in seconds.items() if stage != "wall")
    told = sorted(((spent / wall, stage) for stage, spent in rest.items() if spent / wall >= _TELL), reverse=True)
    parts = ", ".join(f"{stage} {share:.1%}" for share, stage in told)
    return f"{wall:.1f} s: {work}, {overhead(seconds):.1%} overhead" + (f" ({parts})" if parts else "")
