"""The Typer application. Nothing heavy is imported here: ``--help`` and ``--version`` answer at once."""

from __future__ import annotations

from typing import Annotated

import typer

from sparsebench import __version__
from sparsebench.cli.ab import ab
from sparsebench.cli.accuracy import accuracy
from sparsebench.cli.baseline import baseline
from sparsebench.cli.check import check
from sparsebench.cli.compare import compare
from sparsebench.cli.doctor import doctor
from sparsebench.cli.export import export
from sparsebench.cli.history import history
from sparsebench.cli.listing import listing
from sparsebench.cli.model import model
from sparsebench.cli.noise import noise
from sparsebench.cli.prune import prune
from sparsebench.cli.report import report
from sparsebench.cli.run import run
from sparsebench.cli.tune import tune

app = typer.Typer(
    name="sparsebench",
    help="What sparsity really buys on this CPU: sparse kernels beside MKL, SciPy and NumPy, honestly timed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"sparsebench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


app.command("run")(run)
app.command("report")(report)
app.command("check")(check)
app.command("compare")(compare)
app.command("ab")(ab)
app.command("noise")(noise)
app.command("accuracy")(accuracy)
app.add_typer(baseline, name="baseline")
app.command("history")(history)
app.command("model")(model)
app.command("prune")(prune)
app.command("list")(listing)
app.command("doctor")(doctor)
app.command("tune")(tune)
app.command("export")(export)
