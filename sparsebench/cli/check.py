"""``sparsebench check``: judge a finished run by thresholds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from sparsebench.cli.baseline import StoreFolder
from sparsebench.report.verdicts import FORMATS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.bench.plan import RunPlan
    from sparsebench.report.verdicts.lines import Checked
    from sparsebench.results import CaseResult
    from sparsebench.run_folder import RunFolder
    from sparsebench.suite.thresholds import Threshold

# Options that 'run --check' has too.
Thresholds = Annotated[
    list[str] | None,
    typer.Option("--thresholds", help="File of thresholds, or a suite, instead of the run's own.", metavar="FILE"),
]
Confirm = Annotated[
    int,
    typer.Option(
        "--confirm",
        help="Measure undecided cases again, up to N times; what falls short, once more.",
        metavar="N",
        min=0,
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="An undecided threshold is exit code 5, not 0.")]


def check(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that 'sparsebench run' has made.")],
    thresholds: Thresholds = None,
    form: Annotated[
        str, typer.Option("--format", help="How to show the verdicts.", metavar="|".join(FORMATS))
    ] = "console",
    confirm: Confirm = 0,
    strict: Strict = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to a file instead of stdout.", metavar="FILE")
    ] = None,
    store: StoreFolder = None,
) -> None:
    """Say which claims about a run hold, which fall short, and which its intervals leave undecided.

    Exit codes: 0 all hold or are undecided, 1 one falls short, 2 bad input, 3 a wrong result, 4 a claim could not be
    measured, 5 no verdict (all are skipped; with --strict, one is undecided), 130 interrupted.
    """
    from functools import partial

    from sparsebench.check import thresholds_for
    from sparsebench.report.output import emit
    from sparsebench.report.verdicts import renderer
    from sparsebench.run_folder import RunFolder

    write = renderer(form)
    folder = RunFolder.open(run)
    claims = thresholds_for(folder.run["suites"], thresholds or [])
    checked = judge(folder, claims, confirm, strict, quiet=False, store=store)
    emit(partial(write, checked), output)
    raise typer.Exit(checked.exit_code)


def judge(
    folder: RunFolder,
    thresholds: Sequence[Threshold],
    confirm: int,
    strict: bool,
    *,
    quiet: bool,
    store: Path | None = None,
) -> Checked:
    """Check a run; what is measured again is shown as it goes, unless `quiet`. A store may know the noise of cases."""
    from sparsebench.bench.machine import key_hash
    from sparsebench.check import check
    from sparsebench.cli.progress import carry_out
    from sparsebench.report.verdicts.lines import Checked
    from sparsebench.store import known_noise

    noise, doubts = known_noise(store, folder)
    for doubt in doubts:
        typer.echo(f"warning: {doubt}", err=True)

    def measure(plan: RunPlan, again: RunFolder) -> list[CaseResult]:
        if code := carry_out(plan, again, quiet=quiet):
            raise typer.Exit(code)
        return again.results()

    outcomes = check(folder, thresholds, confirm=confirm, measure=measure, noise=noise)
    return Checked(
        run=str(folder.path),
        machine=key_hash(folder.run["machine"]),
        outcomes=tuple(outcomes),
        settings=folder.run["settings"],
        looks=1 + confirm,
        strict=strict,
    )


def conclude(
    folder: RunFolder,
    thresholds: Sequence[Threshold],
    confirm: int,
    strict: bool,
    *,
    code: int,
    quiet: bool,
    stream: TextIO,
    store: Path | None = None,
) -> int:
    """Check a run that has just ended with `code`, and return the graver exit code; one that is not complete has it."""
    from sparsebench.report.verdicts import renderer

    if "finished" not in folder.run:
        return code
    checked = judge(folder, thresholds, confirm, strict, quiet=quiet, store=store)
    if not quiet:
        renderer("console")(checked, stream)
    return code or checked.exit_code
