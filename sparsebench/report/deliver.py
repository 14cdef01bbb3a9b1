"""What a report was asked for, and its way to the terminal or to files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from sparsebench.errors import InputError
from sparsebench.report import CHART_FILES, FILES, metrics, renderer, saver, tables_renderer, what_if, what_if_table
from sparsebench.report.output import emit

if TYPE_CHECKING:
    from sparsebench.report.loaded import Loaded


@dataclass(frozen=True, slots=True)
class Request:
    """Options of ``sparsebench report``.

    Attributes
    ----------
    plot
        A column over which to draw the metric, by `sparsebench.report.plot`.
    charts
        Names of `sparsebench.report.charts.CHARTS`; none means all.
    output
        A file, for charts a folder too; None: the terminal.
    """

    form: str = "console"
    metric: str = "speedup"
    by: tuple[str, ...] = ()
    plot: str | None = None
    charts: tuple[str, ...] = ()
    break_even: bool = False
    what_if: bool = False
    peers: bool = False
    output: Path | None = None

    @property
    def tells_warnings(self) -> bool:
        """Whether what is written has the runs' warnings in it."""
        special = self.break_even or self.peers or self.what_if
        return self.form in ("console", "markdown", "html") and not special

    def __post_init__(self) -> None:
        if self.what_if:
            if self.form not in what_if_table.FORMATS or self.by or self.plot or self.break_even or self.peers:
                formats = ", ".join(what_if_table.FORMATS)
                raise InputError(f"--what-if is for --format {formats}, without --by, --plot, --break-even and --peers")
            return
        if self.form not in FILES:
            # Says which formats there are.
            renderer(self.form)
        if self.charts and self.form not in CHART_FILES:
            raise InputError(f"--chart is for --format {' or '.join(CHART_FILES)}; --format html has every chart")
        for option, chosen in (("--break-even", self.break_even), ("--peers", self.peers)):
            if chosen and (self.form not in ("console", "csv", "markdown") or self.by or self.plot):
                raise InputError(f"{option} is for --format console, csv or markdown, without --by and --plot")
        if self.break_even and self.peers:
            raise InputError("--break-even and --peers are reports of their own: give one of them")
        if self.plot and self.output is None:
            raise InputError("--plot needs --output FILE.svg, .png or .pdf")
        if self.form in FILES and self.output is None:
            place = "FOLDER" if self.form in CHART_FILES else f"FILE.{self.form}"
            raise InputError(f"--format {self.form} needs --output {place}")


def deliver(loaded: Loaded, request: Request) -> list[Path]:
    """Write what was asked for; return the files, none where it went to the terminal.

    Raises
    ------
    InputError
        If a name is not known, there is nothing to show, or a file cannot be written.
    UnavailableError
        If a library for the format is not installed; names the command that installs it.
    """
    output = request.output
    if request.plot is not None and output is not None:
        from sparsebench.report.plot import draw

        draw(loaded.frame, metrics.find(request.metric), request.plot, output)
        return [output]
    if request.form in FILES and output is not None:
        return saver(request.form)(loaded, request.form, output, request.charts)
    emit(partial(_write, loaded, request), output)
    return [] if output is None else [output]


def _write(loaded: Loaded, request: Request, stream: TextIO) -> None:
    if request.what_if:
        if len(loaded.folders) > 1:
            raise InputError("--what-if is of one run")
        run = loaded.folders[0].run
        what_if_table.write(request.form, run, what_if.find(run, loaded.results), stream)
    elif request.break_even:
        from sparsebench.report import break_even, break_even_table

        crossings = break_even.find(loaded)
        break_even.require(crossings)
        if request.form == "csv":
            break_even_table.write_csv(crossings, stream)
        else:
            tables_renderer(request.form)(break_even_table.tables(crossings), stream)
    elif request.peers:
        from sparsebench.report import notes, peers, peers_table

        contests = peers.find(loaded)
        peers.require(contests)
        if request.form == "csv":
            peers_table.write_csv(contests, stream)
        else:
            tables_renderer(request.form)(peers_table.tables(contests, notes.unavailable(loaded.records)), stream)
    else:
        renderer(request.form)(loaded.frame, stream, metric=request.metric, by=request.by)
