"""Has a whole model timed in an engine beside the groups that measure its layers: before, between and after them.

What is measured stands in the run's record, under ``model``: `sparsebench.report.what_if` sets layers against it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from subprocess import TimeoutExpired
from typing import Any

from sparsebench.bench.pool import WorkerError, run_apart
from sparsebench.run_folder import RunFolder
from sparsebench.suite import Group

INSTALL = "pip install onnxruntime"
# Seconds of rounds of one visit; there are three for each thread count.
SECONDS = 2.0


def missing() -> str | None:
    """Say why ONNX Runtime is not here, without importing it; None where it is."""
    return None if find_spec("onnxruntime") else f"ONNX Runtime is not installed: {INSTALL}"


def visits(groups: Sequence[Group]) -> dict[int, list[Group]]:
    """Return when the engine is due: before the group of an index (or after the last), at whose threads and level.

    Of each thread count and level that is before its first group, in the middle, and after its last.
    """
    places: dict[tuple[int, str], list[int]] = {}
    for index, group in enumerate(groups):
        places.setdefault((group.threads, group.level), []).append(index)
    due: dict[int, list[Group]] = {}
    for found in places.values():
        for place in dict.fromkeys((found[0], found[len(found) // 2], found[-1] + 1)):
            due.setdefault(place, []).append(groups[found[0]])
    return due


def beside(groups: Sequence[Group], measured: Iterator[Any], visit: Callable[[Group], None] | None) -> Iterator[Any]:
    """Yield what `measured` yields for each group, and `visit` the engine when it is due, while no worker computes."""
    due = {} if visit is None else visits(groups)
    for index in range(len(groups) + 1):
        if index == len(groups):
            # The last worker ends only once it is asked for more.
            yield from measured
        for group in due.get(index, ()):
            assert visit is not None
            visit(group)
        if index < len(groups):
            yield next(measured)


@dataclass(frozen=True, slots=True)
class Visit:
    """Times the model of a run's record once more, and adds that to the record.

    Attributes
    ----------
    cpus
        As those of the workers.
    stage
        Counts the time of a context to a stage of the run.
    """

    folder: RunFolder
    cpus: Sequence[int]
    stage: Callable[[str], AbstractContextManager[None]]

    def __call__(self, group: Group) -> None:
        """Measure at a group's thread count; an engine that cannot is in the record, and not asked again."""
        model = self.folder.run["model"]
        engine = model["engine"]
        if engine.get("missing"):
            return
        threads = group.threads
        known = engine.get("threads", {}).get(str(threads), {"visits": []})
        request = {
            "model": engine["path"],
            "inputs": engine["inputs"],
            "threads": threads,
            "cpus": list(self.cpus[:threads]) if threads <= len(self.cpus) else [],
            "seconds": SECONDS,
            "profile": "nodes" not in known,
        }
        try:
            with self.stage("engine"):
                answer = run_apart("sparsebench.bench.engine_worker", [json.dumps(request)], threads, group.level)
        except (WorkerError, TimeoutExpired) as error:
            said = str(error) if isinstance(error, WorkerError) else f"it takes longer than {error.timeout:g} s"
            self._keep(model, engine | {"missing": f"ONNX Runtime cannot run the model: {said}"})
            return
        visited = known | {"visits": [*known["visits"], answer["samples_s"]]}
        if "nodes" in answer:
            visited["nodes"] = answer["nodes"]
        threads_known = engine.get("threads", {}) | {str(threads): visited}
        self._keep(model, engine | {"version": answer["version"], "threads": threads_known})

    def _keep(self, model: dict[str, Any], engine: dict[str, Any]) -> None:
        self.folder.update(model=model | {"engine": engine})


def visit_of(
    folder: RunFolder, cpus: Sequence[int], stage: Callable[[str], AbstractContextManager[None]]
) -> Visit | None:
    """Return how a run has its model timed; None where its record has no model."""
    return Visit(folder, cpus, stage) if folder.run.get("model", {}).get("engine") else None
