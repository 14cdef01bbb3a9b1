"""Options by which ``run``, ``noise`` and ``ab`` are told what to measure, and the request that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.bench.plan import Request

Suites = Annotated[list[str] | None, typer.Argument(metavar="SUITE", help="Name of a shipped suite, or a path.")]
Problems = Annotated[
    list[str] | None,
    typer.Option("--problem", help="A problem string, e.g. 'matmul:1024x1024x64:complementary/8+0.95:f32'."),
]
Threads = Annotated[str | None, typer.Option("--threads", help="Thread counts, e.g. '1,2' or 'all'.")]
Where = Annotated[
    str | None,
    typer.Option("--where", help="Only problems for which this holds: 'N >= 16 and lanes == 8'.", metavar="EXPR"),
]
Level = Annotated[str | None, typer.Option("--isa", help="Instruction-set level: v2, v3, v4, generic.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of all random weights and inputs.")]
Data = Annotated[
    Path | None, typer.Option("--data", help="Folder of the suite's data; else $SPARSEBENCH_DATA.", metavar="DIR")
]
TimeLimit = Annotated[
    float, typer.Option("--time-limit", help="Seconds that one step of one kernel may take.", metavar="SECONDS")
]


def requested(
    suites: Sequence[str] | None,
    problems: Sequence[str] | None,
    *,
    threads: str | None,
    kernels: str | None,
    where: str | None,
    level: str | None,
    seed: int | None,
    budget: float | None,
    data: Path | None,
    time_limit: float = 120.0,
    tune: bool = False,
) -> Request:
    """Return what is asked for; a thread count that is none is an InputError."""
    from sparsebench.bench.plan import Request

    return Request(
        suites=tuple(suites or ()),
        problems=tuple(problems or ()),
        threads=_thread_counts(threads),
        kernels=globs(kernels),
        where=where,
        level=level,
        seed=seed,
        budget=budget,
        data=data,
        time_limit=time_limit,
        tune=tune,
    )


def globs(text: str | None) -> tuple[str, ...] | None:
    """Read ``--kernels``."""
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else None


def _thread_counts(text: str | None) -> tuple[int | str, ...] | None:
    """Read ``--threads``; what is no count is an InputError."""
    from sparsebench.errors import InputError

    if text is None:
        return None
    counts: list[int | str] = []
    for part in text.split(","):
        if part.strip() == "all":
            counts.append("all")
            continue
        try:
            count = int(part)
        except ValueError:
            raise InputError(f"--threads '{part}': give numbers from 1 up, or 'all', separated by commas") from None
        if count < 1:
            raise InputError(f"--threads {count}: a thread count must be at least 1")
        counts.append(count)
    return tuple(counts)
