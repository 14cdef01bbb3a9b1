"""What a person sees while a study goes on: a line for each training, in a terminal also one that lives."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sparsebench.accuracy.conduct import Plan, execute, exit_code
from sparsebench.bench.plan import exit_code as plan_exit_code
from sparsebench.bench.pool import WorkerError
from sparsebench.cli.progress import duration
from sparsebench.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, InputError

if TYPE_CHECKING:
    from sparsebench.accuracy.folder import AccuracyFolder
    from sparsebench.accuracy.plan import Training
    from sparsebench.accuracy.results import TrainingResult
    from sparsebench.suite import Group
    from sparsebench.train import Epoch


class Progress:
    """Counts trainings and keeps the line that lives."""

    def __init__(self, total: int, done: int, console: Console, quiet: bool) -> None:
        self._total = total
        self._done = done
        self._before = done
        self._console = console
        self._quiet = quiet
        self._start = monotonic()
        self._name = ""
        self._epochs = 0
        self._number = 0
        self._networks = self._timed = 0
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the live line while the body runs, if there is a terminal."""
        if self._quiet or not self._console.is_terminal:
            yield
            return
        with Live(Text("starting"), console=self._console, auto_refresh=False, transient=True) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def training_started(self, training: Training, number: int, epochs: int) -> None:
        """Show which training begins."""
        self._name, self._number, self._epochs = training.name, number, epochs
        self._draw(f"{self._head()}: {epochs} epochs")

    def epoch_finished(self, epoch: Epoch) -> None:
        """Show how the training goes."""
        self._draw(
            f"{self._left()} left {self._head()}: epoch {epoch.epoch}/{self._epochs}, loss {epoch.loss:.3f},"
            f" {epoch.accuracy:.1%} right, {epoch.seconds:.0f} s"
        )

    def training_finished(self, result: TrainingResult) -> None:
        """Print what became of a training."""
        self._done += 1
        told = result.status if result.accuracy is None else f"accuracy {result.accuracy:.2%}"
        if result.train_s is not None:
            told += f", {result.train_s:.1f} s"
        if result.error:
            told = f"{result.status}: {result.error}"
        self._print(f"{self._head()}: {told}")

    def timing_started(self, networks: int) -> None:
        """Say that training is over."""
        self._networks = networks
        self._print(f"timing {networks} networks in our kernels")

    def group_started(self, group: Group) -> None:
        """Show which network is timed."""
        self._timed += 1
        self._draw(f"timing {self._timed}/{self._networks}")

    def measuring(self, group: Group, kernels: Sequence[str]) -> None:
        """Draw nothing while kernels are timed."""

    def worker_finished(self, threads: int, level: str, libraries: dict[str, Any]) -> None:
        """Nothing to show: the run's record keeps it."""

    def _head(self) -> str:
        return f"[{self._number}/{self._total}] {self._name}"

    def _left(self) -> str:
        made = self._done - self._before
        if not made:
            return "--:--"
        return duration((monotonic() - self._start) / made * (self._total - self._done))

    def _print(self, line: str) -> None:
        if not self._quiet:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _draw(self, line: str) -> None:
        if self._live is not None:
            self._live.update(Text(line, overflow="ellipsis", no_wrap=True), refresh=True)


def carry_out(plan: Plan, folder: AccuracyFolder, *, threads: int, time: bool, quiet: bool) -> int:
    """Carry a study out with a display; returns the exit code, having said what ended it early."""
    messages = Console(stderr=True)
    progress = Progress(len(plan.trainings), len(folder.finished()), messages, quiet)
    if not quiet:
        messages.print(
            f"{len(plan.trainings)} trainings, {len(folder.finished())} finished -> {folder.path}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        for note in plan.dataset.notes:
            messages.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    try:
        with progress.shown():
            for _ in execute(plan, folder, progress, threads=threads, time=time):
                pass
    except KeyboardInterrupt:
        messages.print(
            f"interrupted; what is finished is kept. Go on with: sparsebench accuracy --resume {folder.path}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        return EXIT_INTERRUPTED
    except WorkerError as error:
        messages.print(f"sparsebench: {error}", markup=False, soft_wrap=True)
        return EXIT_FAILED
    results = folder.results()
    if not quiet:
        counts = ", ".join(f"{n} {status}" for status, n in Counter(r.status for r in results).most_common())
        messages.print(f"{counts}. Results: {folder.path / 'accuracy.csv'}", markup=False, soft_wrap=True)
    run = folder.speed()
    return exit_code(results) or (EXIT_OK if run is None else plan_exit_code(run.results()))


def print_plan(plan: Plan) -> None:
    """List the trainings of a plan, one a line."""
    for training in plan.trainings:
        sys.stdout.write(f"{training.name}\n")
    sys.stderr.write(f"{len(plan.trainings)} trainings\n")


def require_threads(count: int | None, cores: int) -> int:
    """Return how many threads train: all cores unless a number is given; raises InputError for more than there are."""
    if count is None:
        return cores
    if not 1 <= count <= cores:
        raise InputError(f"--threads {count}: this machine has {cores} cores to train on")
    return count
