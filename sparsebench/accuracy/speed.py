"""Times trained networks in our kernels: an ordinary run over them, one core, batch 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sparsebench.accuracy.folder import SPEED, WEIGHTS, AccuracyFolder
from sparsebench.accuracy.plan import Training
from sparsebench.bench.plan import Request, describe, execute, make_plan, remaining_plan
from sparsebench.bench.pool import Listener
from sparsebench.errors import InputError
from sparsebench.nets.compile import MODES
from sparsebench.problem import Problem
from sparsebench.run_folder import RUN, RunFolder


def chosen(trainings: Sequence[Training], folder: AccuracyFolder) -> list[Training]:
    """Return the first training of each variant and start that ended well.

    Folds and seeds move a network's non-zeros, not their number, and its time with it hardly at all.
    """
    good = {result.name for result in folder.results() if result.status == "ok"}
    found: dict[tuple[object, str], Training] = {}
    for training in trainings:
        if training.name in good:
            found.setdefault((training.variant, training.start), training)
    return list(found.values())


def problem(training: Training, folder: AccuracyFolder) -> Problem:
    """Return the problem of running a trained network on one input."""
    place = folder.network_folder(training.name)
    (description,) = place.glob("*.toml")
    return Problem.of_network(str(description), 1, weights=str(place / WEIGHTS))


def measure(
    trainings: Sequence[Training], folder: AccuracyFolder, listener: Listener, started: Callable[[int], None]
) -> None:
    """Run the chosen networks in all modes, or what an interrupted run has left of them, into the folder ``speed``.

    Raises
    ------
    InputError
        If the run was begun on another machine, or with another build or other libraries.
    WorkerError
        If a process that measures cannot start.
    """
    path = folder.path / SPEED
    if (path / RUN).exists():
        run = RunFolder.resume(path)
        if run.complete:
            return
        try:
            plan = remaining_plan(run)
        except InputError as error:
            raise InputError(f"{error}: remove '{path}' and --resume the study, which then times anew") from error
    else:
        problems = tuple(str(problem(training, folder)) for training in chosen(trainings, folder))
        if not problems:
            return
        plan = make_plan(Request(problems=problems, threads=(1,), kernels=tuple(f"net-{mode}" for mode in MODES)))
        run = RunFolder.create(path, describe(plan, folder.record["argv"]))
    started(len(plan.groups))
    for _ in execute(plan, run, listener):
        pass
