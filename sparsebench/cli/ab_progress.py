"""What a person sees while ``sparsebench ab`` goes on: drawn between problems, when nothing is timed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sparsebench.ab_folder import AbFolder
from sparsebench.bench import checkout
from sparsebench.bench.ab import LABELS, Label
from sparsebench.bench.ab_plan import AbPlan, check_request, describe, execute, find_commits, make_plan, required_level
from sparsebench.bench.ab_stats import Criteria
from sparsebench.bench.checkout import BuildError, Commit
from sparsebench.bench.plan import Request, default_folder
from sparsebench.bench.pool import WorkerError
from sparsebench.errors import EXIT_FAILED, EXIT_INTERRUPTED
from sparsebench.suite import Group


class Watch:
    """Shows which pair of processes is at work; a bar in a terminal, elsewhere a line a pair."""

    def __init__(self, plan: AbPlan, console: Console, quiet: bool) -> None:
        self._plan = plan
        self._console = console
        self._quiet = quiet
        self._start = monotonic()
        self._repeat = -1
        self._bar: tuple[Progress, TaskID] | None = None
        self.libraries: dict[str, Any] = {}

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bar while the body runs, if there is a terminal."""
        if self._quiet or not self._console.is_terminal:
            yield
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, *times, console=self._console, auto_refresh=False, transient=True) as bar:
            total = len(self._plan.groups) * self._plan.settings.effort.repeats
            self._bar = (bar, bar.add_task("", total=total))
            try:
                yield
            finally:
                self._bar = None

    def group_started(self, repeat: int, group: Group) -> None:
        """Show the first problem of each pair of processes, or all in a terminal."""
        repeats = self._plan.settings.effort.repeats
        if self._bar is not None:
            bar, task = self._bar
            bar.update(task, description=f"pair {repeat + 1}/{repeats}, {group.problem}"[: self._console.width - 50])
            bar.refresh()
        elif repeat != self._repeat and not self._quiet:
            gone = monotonic() - self._start
            left = f", about {gone / repeat * (repeats - repeat):.0f} s left" if repeat else ""
            _say(self._console, f"[{repeat + 1}/{repeats}] pair of processes, {gone:.0f} s gone{left}")
        self._repeat = repeat

    def side_finished(self, label: Label, threads: int, level: str, libraries: dict[str, Any]) -> None:
        """Keep what a worker had loaded."""
        self.libraries[f"{label} threads={threads} level={level}"] = libraries

    def group_finished(self) -> None:
        """Count a problem."""
        if self._bar is not None:
            self._bar[0].advance(self._bar[1])


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def conduct(
    request: Request,
    base: str | None,
    head: str | None,
    repeats: int,
    criteria: Criteria,
    out: Path | None,
    argv: Sequence[str],
    *,
    quiet: bool,
) -> AbFolder | int:
    """Build both sides of the checkout around the current folder and compare them, telling of it on stderr.

    Returns
    -------
    AbFolder or int
        The finished comparison; or, having said why, the exit code of what ended it early.
    """
    messages = Console(stderr=True)
    folder: AbFolder | None = None
    try:
        check_request(request, repeats)
        level = required_level(request)
        repo, commits = find_commits(Path.cwd(), base, head)
        roots = _build(repo, commits, level, messages, quiet)
        plan = make_plan(request, roots, level, repeats)
        folder = AbFolder.create(out or default_folder(f"ab-{plan.name}"), describe(plan, commits, criteria, argv))
        watch = Watch(plan, messages, quiet)
        if not quiet:
            counted = f"{len(plan.groups)} problem{'s' if len(plan.groups) > 1 else ''}, {repeats} pairs of processes"
            _say(messages, f"{counted}, {plan.seconds:.0f} s of samples -> {folder.path}")
        with watch.shown():
            for _ in execute(plan, folder, watch):
                watch.group_finished()
        folder.update(libraries=watch.libraries)
    except KeyboardInterrupt:
        _say(
            messages, "interrupted" + (f"; see what is finished: sparsebench ab --show {folder.path}" if folder else "")
        )
        return EXIT_INTERRUPTED
    except (BuildError, WorkerError) as error:
        _say(messages, f"sparsebench: {error}")
        return EXIT_FAILED
    return folder


def _build(repo: Path, commits: dict[Label, Commit], level: str, messages: Console, quiet: bool) -> dict[Label, Path]:
    def starting(commit: Commit, log: Path) -> None:
        if not quiet:
            _say(messages, f"building {commit.sha[:10]}, which takes a minute or so; log: {log}")

    for label in LABELS:
        if not quiet:
            _say(messages, f"{label}  {commits[label].label}")
    return {label: checkout.build(repo, commits[label], level, starting).resolve() for label in LABELS}
