"""``sparsebench model FILE --what-if``: measure a model's layers as if they were sparse."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sparsebench.models.layer import Layer, Model
    from sparsebench.models.what_if import WhatIf

DEFAULT_PATTERNS = "complementary/8,block/4x4,unstructured"
Sparsities = Annotated[
    str | None,
    typer.Option(
        "--what-if",
        help="Measure the layers at these shares of zeros: '0.9,0.95'; 'stored': with the file's own zeros.",
        metavar="SPARSITIES",
    ),
]
Patterns = Annotated[
    str, typer.Option("--patterns", help="With --what-if: patterns to prune the layers to.", metavar="PATTERNS")
]
Take = Annotated[
    list[str] | None, typer.Option("--layers", help="Only layers whose name matches; repeatable.", metavar="GLOB")
]
Skip = Annotated[
    list[str] | None, typer.Option("--skip", help="Not layers whose name matches; repeatable.", metavar="GLOB")
]


@dataclass(frozen=True, slots=True)
class Ask:
    """Options of ``sparsebench model --what-if``."""

    sparsities: str
    patterns: str = DEFAULT_PATTERNS
    layers: Sequence[str] = ()
    skip: Sequence[str] = ()
    columns: int | None = None
    threads: str | None = None
    kernels: str | None = None
    level: str | None = None
    budget: float | None = None
    time_limit: float = 120.0
    data: Path | None = None
    out: Path | None = None
    dry_run: bool = False
    form: str = "console"
    output: Path | None = None
    quiet: bool = False


def explore(model: Model, ask: Ask) -> int:
    """Measure, and write what was found; return the exit code, that of ``sparsebench run``.

    Raises
    ------
    InputError
        If something is wrong with the options, the sizes of some layers are not known, or nothing can be measured.
    """
    from sparsebench.bench.plan import default_folder, describe, exit_code
    from sparsebench.cli.progress import carry_out
    from sparsebench.cli.selection import requested
    from sparsebench.errors import InputError
    from sparsebench.models import problems
    from sparsebench.models.what_if import what_if
    from sparsebench.report import what_if as found_in
    from sparsebench.report import what_if_table
    from sparsebench.report.output import emit
    from sparsebench.run_folder import RunFolder

    if ask.form not in what_if_table.FORMATS:
        raise InputError(f"--format '{ask.form}' is not known; known: {', '.join(what_if_table.FORMATS)}")
    densities, labels = _read(ask.sparsities, ask.patterns)
    request = requested(
        None,
        None,
        threads=ask.threads,
        kernels=ask.kernels,
        where=None,
        level=ask.level,
        seed=None,
        budget=ask.budget,
        data=ask.data,
        time_limit=ask.time_limit,
    )
    planned = what_if(model, _sized(model, ask), problems.combinations(labels, densities), request)
    if ask.dry_run:
        _foretell(planned)
        return 0
    # As a user would type it, whatever the path of the program.
    run = describe(planned.plan, ["sparsebench", *sys.argv[1:]]) | {"model": planned.record}
    folder = RunFolder.create(ask.out or default_folder(planned.plan.name), run)
    if not ask.quiet:
        typer.echo(_outlook(planned), err=True)
    if code := carry_out(planned.plan, folder, quiet=ask.quiet):
        return code
    results = folder.results()
    code = exit_code(results)
    if not ask.quiet or ask.output:
        try:
            found = found_in.find(folder.run, results)
        except InputError as error:
            # Where all that is sparse failed or is wrong, that is graver.
            if not code:
                raise
            typer.echo(f"sparsebench: {error}", err=True)
            return code
        emit(partial(what_if_table.write, ask.form, folder.run, found), ask.output)
    if not ask.quiet:
        typer.echo(f"every case: sparsebench report {folder.path}; raw: {folder.path / 'results.csv'}", err=True)
    return code


def _read(sparsities: str, patterns: str) -> tuple[list[float], list[str]]:
    """Read the densities, and the labels of the patterns."""
    from sparsebench.errors import InputError

    words = [word.strip() for word in sparsities.split(",") if word.strip()]
    labels = [label.strip() for label in patterns.split(",") if label.strip()]
    if not words or not labels:
        raise InputError("--what-if needs sparsities, such as 0.9,0.95, and --patterns at least one pattern")
    densities = []
    for word in words:
        if word == "stored":
            continue
        try:
            sparsity = float(word)
        except ValueError:
            sparsity = -1
        if not 0 <= sparsity < 1:
            raise InputError(f"--what-if '{word}': a sparsity is a share of zeros from 0 up to below 1, such as 0.95")
        # Rounded because 1 - 0.95 is not 0.05 in binary.
        densities.append(round(1 - sparsity, 12))
    if not densities:
        return [], ["stored"]
    return densities, [*labels, "stored"] if "stored" in words else labels


def _sized(model: Model, ask: Ask) -> list[Layer]:
    """Return the layers that are asked for, all of known size."""
    from sparsebench.errors import InputError
    from sparsebench.models.problems import chosen
    from sparsebench.models.what_if import columns_of

    if not model.layers:
        raise InputError(f"model '{model.address}' has no layer that multiplies by weights")
    layers = chosen(model.layers, ask.layers, ask.skip)
    if model.format == "safetensors":
        if ask.columns is None:
            raise InputError("--what-if: a .safetensors file does not tell the layers' N: give it as --batch N")
        # Of convolutions the map is not known: they stay without a problem, and are named.
        return [columns_of(layer, ask.columns) for layer in layers]
    replace(model, layers=tuple(layers)).require_sizes()
    return layers


def _outlook(planned: WhatIf) -> str:
    """Say what is going to be measured, and about how long that takes."""
    from sparsebench.models.what_if import estimate_s

    shapes = [shape for shape in planned.record["shapes"] if shape["problems"]]
    layers = sum(len(shape["layers"]) for shape in shapes)
    minutes = estimate_s(planned.plan) / 60
    about = f"about {minutes:.0f} minutes" if minutes >= 1.5 else "about a minute" if minutes > 0.5 else "seconds"
    return f"layers: {layers} in {len(shapes)} shapes; {about}"


def _foretell(planned: WhatIf) -> None:
    from sparsebench.cli.progress import print_cases

    print_cases(planned.plan, as_json=False)
    why: dict[tuple[str, str], list[str]] = {}
    for shape in planned.record["shapes"]:
        for label, reason in shape["reasons"].items():
            why.setdefault((label, reason), []).append(f"{shape['layers'][0]} ({shape['text']})")
    for (label, reason), shapes in why.items():
        more = f" and {len(shapes) - 1} more shapes" if len(shapes) > 1 else ""
        typer.echo(f"not {label}: {shapes[0]}{more}: {reason}", err=True)
    missing = planned.record["engine"].get("missing")
    typer.echo(f"{_outlook(planned)}{f'; {missing}' if missing else ''}", err=True)
