"""What a person sees while a run goes on: a live line in a terminal, plain lines elsewhere; drawn between timings."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import typer
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sparsebench.bench.plan import Request, RunPlan, default_folder, describe, execute, exit_code, make_plan
from sparsebench.bench.pool import WorkerError
from sparsebench.bench.watch import account
from sparsebench.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, InputError
from sparsebench.results import CaseResult
from sparsebench.run_folder import RunFolder, derive_rows
from sparsebench.suite import Group

_RECENT = 5
_LONG_ADDRESS = 40


def duration(seconds: float) -> str:
    """Return a time as minutes and seconds, of an hour or more with hours."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def _brief(problem: str) -> str:
    """Return a problem string with the end of a long address only: the whole of it is in the results."""
    head, separator, address = problem.partition(";weights=")
    if len(address) <= _LONG_ADDRESS:
        return problem
    end = address.rpartition("!")[2] if "!" in address else address
    return f"{head}{separator}...{end[-_LONG_ADDRESS:]}"


def _headline(results: Sequence[CaseResult]) -> str:
    """Return the problem, then every kernel's speed-up or what became of it."""
    first = results[0]
    parts = []
    for row in derive_rows(list(results)):
        if row["status"] == "unsupported" or row["kernel"] == first.baseline:
            continue
        if row["speedup"]:
            parts.append(f"{row['kernel']} {row['speedup']:.2f}x")
        elif row["status"] not in ("ok", "unavailable"):
            parts.append(f"{row['kernel']} {row['status']}")
    return f"{_brief(first.problem)} T={first.threads}: {', '.join(parts) or 'nothing beside the baseline'}"


class Progress:
    """Counts groups and keeps the last lines; draws only when told that nothing is being timed."""

    def __init__(self, plan: RunPlan, folder: RunFolder, console: Console, quiet: bool) -> None:
        self._plan = plan
        self._folder = folder
        self._console = console
        self._quiet = quiet
        self._start = monotonic()
        self._done = 0
        self._cases = 0
        self._told = 0
        self._doing = "starting"
        self._recent: list[str] = []
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the live display while the body runs, if there is a terminal."""
        if self._quiet or not self._console.is_terminal:
            yield
            return
        with Live(self._render(), console=self._console, auto_refresh=False, transient=True) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def group_started(self, group: Group) -> None:
        """Show which problem is being made, and what has been found doubtful before it."""
        self.tell()
        self._doing = f"preparing {_brief(str(group.problem))} T={group.threads}"
        self._draw()

    def measuring(self, group: Group, kernels: Sequence[str]) -> None:
        """Show what is being measured."""
        self._doing = f"measuring {_brief(str(group.problem))} T={group.threads}: {', '.join(kernels)}"
        self._draw()

    def worker_finished(self, threads: int, level: str, libraries: dict[str, Any]) -> None:
        """Nothing to show: the run's record keeps it."""

    def group_finished(self, results: Sequence[CaseResult]) -> None:
        """Count a group, and show its speed-ups."""
        self._done += 1
        self._cases += len(results)
        line = _headline(results)
        self._recent = [*self._recent[-_RECENT + 1 :], line]
        if self._live is None and not self._quiet:
            self._console.print(f"[{self._done}/{len(self._plan.groups)}] {line}", markup=False, soft_wrap=True)
        self._draw()

    def tell(self) -> None:
        """Print the warnings that the run has got since this was last called."""
        warnings = self._folder.run.get("warnings", [])
        if not self._quiet:
            for warning in warnings[self._told :]:
                self._console.print(f"warning: {warning}", markup=False, soft_wrap=True)
        self._told = len(warnings)

    def _left(self) -> str:
        if not self._done:
            return "--:--"
        return duration((monotonic() - self._start) / self._done * (len(self._plan.groups) - self._done))

    def _render(self) -> Table:
        total = len(self._plan.groups)
        head = Table.grid(padding=(0, 1))
        head.add_row(
            Text(f"{self._done}/{total} problems, {self._cases}/{self._plan.cases} cases"),
            ProgressBar(total=total, completed=self._done, width=20),
            Text(f"{duration(monotonic() - self._start)} gone, {self._left()} left"),
        )
        body = Table.grid()
        for line in self._recent:
            body.add_row(Text(line, style="dim", overflow="ellipsis", no_wrap=True))
        body.add_row(head)
        body.add_row(Text(self._doing, overflow="ellipsis", no_wrap=True))
        return body

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self._render(), refresh=True)


def carry_out(plan: RunPlan, folder: RunFolder, *, quiet: bool) -> int:
    """Execute the plan with a display, and return 0; or, having said why, the exit code of what ended it early."""
    messages = Console(stderr=True)
    # Progress lines go where no data goes: stdout is for the report, or for JSON alone.
    progress = Progress(plan, folder, messages, quiet)
    if not quiet:
        messages.print(
            f"problems: {len(plan.groups)}, cases: {plan.cases} -> {folder.path}", markup=False, soft_wrap=True
        )
    try:
        with progress.shown():
            for results in execute(plan, folder, progress):
                progress.group_finished(results)
    except KeyboardInterrupt:
        messages.print(
            f"interrupted; what is finished is kept. Go on with: sparsebench run --resume {folder.path}",
            markup=False,
            soft_wrap=True,
        )
        return EXIT_INTERRUPTED
    except WorkerError as error:
        messages.print(f"sparsebench: {error}", markup=False, soft_wrap=True)
        return EXIT_FAILED
    progress.tell()
    return EXIT_OK


def repeat(request: Request, runs: int, out: Path | None, argv: Sequence[str], *, quiet: bool) -> list[RunFolder]:
    """Make several runs of one request in folders ``run-1`` and so on, and return them.

    Raises
    ------
    InputError
        For the reasons of `make_plan`, or where a folder cannot be made.
    typer.Exit
        With the exit code of a run that does not end well.
    """
    plan = make_plan(request)
    where = out or default_folder(f"noise-{plan.name}")
    folders = []
    for number in range(1, runs + 1):
        folder = RunFolder.create(where / f"run-{number}", describe(plan, argv))
        code = carry_out(plan, folder, quiet=quiet) or exit_code(folder.results())
        if code:
            raise typer.Exit(code)
        folders.append(folder)
    return folders


def conduct(plan: RunPlan, folder: RunFolder, *, quiet: bool, as_json: bool) -> int:
    """Execute the plan with a display, print the report, and return the exit code."""
    if code := carry_out(plan, folder, quiet=quiet):
        return code
    results = folder.results()
    code = exit_code(results)
    if as_json:
        json.dump({"run": str(folder.path), "results": derive_rows(results)}, sys.stdout, indent=1)
        sys.stdout.write("\n")
    elif not quiet:
        try:
            _print_report(folder)
        except InputError as error:
            # Nothing of a model to tell where all that is sparse failed or is wrong, which is graver.
            if not code:
                raise
            print(f"sparsebench: {error}", file=sys.stderr)
    if not quiet:
        statuses = Counter(result.status for result in results)
        summary = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
        messages = Console(stderr=True)
        messages.print(account(folder.run["seconds"]), markup=False, soft_wrap=True)
        messages.print(f"{summary}. Results: {folder.path / 'results.csv'}", markup=False, soft_wrap=True)
    return code


def _print_report(folder: RunFolder) -> None:
    from sparsebench.report import renderer, what_if, what_if_table
    from sparsebench.report.frame import combine

    if "model" in folder.run:
        what_if_table.write("console", folder.run, what_if.find(folder.run, folder.results()), sys.stdout)
        return
    frame = combine([folder])
    # They have been told while the run went on.
    del frame.attrs["warnings"]
    renderer("console")(frame, sys.stdout)


def print_cases(plan: RunPlan, as_json: bool) -> None:
    """List the cases of a plan, one a line; as JSON an array of objects."""
    cases = [
        {"suite": group.suite, "problem": str(group.problem), "kernel": name, "threads": group.threads}
        for group in plan.groups
        for name in group.kernels
    ]
    if as_json:
        json.dump(cases, sys.stdout, indent=1)
        sys.stdout.write("\n")
        return
    for case in cases:
        sys.stdout.write(f"{case['suite']}  {case['problem']}  {case['kernel']}  T={case['threads']}\n")
    sys.stderr.write(f"{len(cases)} cases in {len(plan.groups)} groups\n")
