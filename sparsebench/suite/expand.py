"""Suites and problem strings become groups: one problem, its kernels, one thread count, one level."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np

from sparsebench import weights
from sparsebench.convolution import Convolution
from sparsebench.errors import InputError
from sparsebench.problem import Problem, columns
from sparsebench.suite.load import Loaded
from sparsebench.suite.model_layers import model_problems
from sparsebench.suite.schema import ProblemTable
from sparsebench.toml_tables import nearest

DEFAULT_BASELINES = {"matmul": "mkl-dense", "conv2d": "mkl-im2col", "network": "net-dense"}


@dataclass(frozen=True, slots=True)
class Group:
    """What is measured together, in the same rounds."""

    suite: str
    problem: Problem
    kernels: tuple[str, ...]
    threads: int
    level: str
    baseline: str

    def to_json(self) -> dict[str, Any]:
        """Return the group as JSON types."""
        return {
            "suite": self.suite,
            "problem": str(self.problem),
            "kernels": list(self.kernels),
            "threads": self.threads,
            "level": self.level,
            "baseline": self.baseline,
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Group:
        """Read what `to_json` returned."""
        changed = {"problem": Problem.parse(record["problem"]), "kernels": tuple(record["kernels"])}
        return cls(**(record | changed))


def selects(name: str, glob: str, peers: Collection[str]) -> bool:
    """Whether a glob selects a kernel: "*" all but peers, "peers" these, any other what its name matches."""
    match glob:
        case "*":
            return name not in peers
        case "peers":
            return name in peers
    return fnmatchcase(name, glob)


def _select(globs: Sequence[str], known: Sequence[str], peers: Collection[str], where: str) -> tuple[str, ...]:
    """Names that any glob selects, in the registry's order; a glob that selects none is an error."""
    for glob in globs:
        if not any(selects(name, glob, peers) for name in known):
            groups = ["peers"] if peers else []
            raise InputError(f"{where}: kernel '{glob}' is not known{nearest(glob, [*known, *groups])}")
    return tuple(name for name in known if any(selects(name, glob, peers) for glob in globs))


def _thread_counts(asked: Sequence[int | str], cores: int) -> list[int]:
    counts: list[int] = []
    for entry in asked:
        count = cores if entry == "all" else int(entry)
        if count > cores:
            raise InputError(f"threads {count}: this machine has {cores} core{'s' if cores > 1 else ''} to run on")
        if count < 1:
            raise InputError(f"threads {count}: a thread count must be at least 1")
        if count not in counts:
            counts.append(count)
    return counts


def _matrices(table: ProblemTable, data: Path | None) -> Iterator[tuple[int, int, str, float | None]]:
    """Yield (M, K, address, stored density) of each weight matrix of a problem table."""
    if table.weights == "random":
        for M, K in table.shapes or ():
            yield M, K, "random", None
        return
    source = table.weights if isinstance(table.weights, str) else table.weights.source
    per_shape = None if isinstance(table.weights, str) else table.weights.per_shape
    seen: dict[tuple[int, int], int] = {}
    for ref in weights.expand(source, data=data):
        shape = (ref.rows, ref.cols)
        seen[shape] = seen.get(shape, 0) + 1
        if (table.shapes is None or shape in table.shapes) and (per_shape is None or seen[shape] <= per_shape):
            yield ref.rows, ref.cols, ref.address, ref.stored_density
    absent = [shape for shape in table.shapes or () if shape not in seen]
    if absent:
        had = ", ".join(f"{M}x{K}" for M, K in sorted(seen))
        raise InputError(f"weights '{source}' have no matrix of {absent[0][0]}x{absent[0][1]}; they have {had}")


def _layers(table: ProblemTable, data: Path | None) -> Iterator[tuple[int, int, str, float | None, Convolution | None]]:
    """Yield (M, K, address, stored density, geometry) of each layer of a problem table."""
    if table.op == "matmul":
        for matrix in _matrices(table, data):
            yield *matrix, None
        return
    for filters, channels, kh, kw, height, width in table.shapes or ():
        window = replace(table.window, kernel=(kh, kw))
        conv = Convolution(channels, height, width, window, table.groups)
        yield filters, conv.taps, "random", None, conv


def _density(address: str, data: Path | None) -> float:
    """Return nnz / size of weights that a dense file holds; pruned models are mostly stored so."""
    values = weights.read(address, data=data).values
    nnz = int(np.count_nonzero(values))
    if nnz in (0, values.size):
        raise InputError(
            f"weights '{address}' are dense, {'all' if nnz == 0 else 'none'} of them zero: pattern 'stored' needs"
            " weights of which some are"
        )
    return nnz / values.size


def _problems(table: ProblemTable, data: Path | None, seed: int | None) -> Iterator[Problem]:
    if table.op == "network":
        for address, N in product(table.networks or (), table.n):
            assert isinstance(table.weights, str)
            chosen = table.seed if seed is None else seed
            yield Problem.of_network(address, N, seed=chosen, weights=table.weights)
        return
    for M, K, address, stored_density, conv in _layers(table, data):
        for entry, N in product(table.patterns or (), table.n):
            pattern = entry.build(N)
            densities = table.density
            if pattern.name == "stored":
                if stored_density is None:
                    stored_density = _density(address, data)
                densities = [round(stored_density, 12)]
            for density, act_density, cache, layout in product(
                densities, table.act_density, table.cache, table.x_layout
            ):
                yield Problem(
                    op=table.op,
                    M=M,
                    K=K,
                    N=N,
                    conv=conv,
                    pattern=pattern,
                    density=density,
                    act_density=act_density,
                    seed=table.seed if seed is None else seed,
                    cache=cache,
                    x_layout=layout,
                    weights=address,
                )


def _tables(loaded: Loaded, data: Path | None, seed: int | None) -> Iterator[tuple[str, Sequence[str], list[Problem]]]:
    """Yield each table of a suite that has problems: where it stands, its globs of kernels, its problems."""
    made: list[tuple[str, Sequence[str], Callable[[], list[Problem]]]] = []
    for number, table in enumerate(loaded.suite.problems):
        made.append((f"problems[{number}]", table.kernels, partial(_listed, table, data, seed)))
    for number, model in enumerate(loaded.suite.models):
        made.append((f"models[{number}]", model.kernels, partial(model_problems, model, data, seed)))
    for key, globs, problems in made:
        here = f"suite '{loaded.name}', {key}"
        try:
            yield here, globs, problems()
        except InputError as error:
            raise InputError(f"{here}: {error}") from None


def _listed(table: ProblemTable, data: Path | None, seed: int | None) -> list[Problem]:
    return list(_problems(table, data, seed))


def expand(
    loaded: Loaded,
    *,
    kernel_names: Mapping[str, Sequence[str]],
    cores: int,
    level: str,
    threads: Sequence[int | str] | None = None,
    kernels: Sequence[str] | None = None,
    where: str | None = None,
    data: Path | None = None,
    seed: int | None = None,
    peers: Collection[str] = (),
) -> list[Group]:
    """Expand a suite; `threads`, `seed` replace the suite's, `kernels` (globs) and `where` narrow it.

    `peers` are the kernels that "*" leaves out, so that a suite takes as long whatever is installed. Where a suite says
    "*", `kernels` may name them all the same.

    Raises
    ------
    InputError
        If a kernel is unknown, threads are more than `cores`, weights cannot be found, or nothing is left.
    """
    suite = loaded.suite
    tables = list(_tables(loaded, data, seed))
    ops = {problem.op for _, _, problems in tables for problem in problems}
    for op in ops:
        if suite.baseline is not None and suite.baseline not in kernel_names[op]:
            wrong = f"kernel '{suite.baseline}' is not known{nearest(suite.baseline, kernel_names[op])}"
            raise InputError(f"suite '{loaded.name}', baseline: {wrong}")
    narrowed = {
        op: _select(kernels, kernel_names[op], peers, "--kernels") if kernels else kernel_names[op] for op in ops
    }
    merged: dict[str, tuple[Problem, set[str]]] = {}
    for here, globs, problems in tables:
        known = list(dict.fromkeys(chain.from_iterable(kernel_names[problem.op] for problem in problems)))
        chosen = _select(globs, known, peers, f"{here}.kernels")
        if kernels and "*" in globs:
            chosen = tuple(known)
        for problem in problems:
            merged.setdefault(str(problem), (problem, set()))[1].update(chosen)
    groups = [
        Group(loaded.name, problem, names, count, level, suite.baseline or DEFAULT_BASELINES[problem.op])
        for count in _thread_counts(threads or suite.threads, cores)
        for problem, chosen_names in merged.values()
        if (names := tuple(name for name in narrowed[problem.op] if name in chosen_names))
    ]
    if not groups:
        raise InputError(f"suite '{loaded.name}': --kernels leaves no kernel of the suite")
    return _filtered(groups, where) if where else groups


def single(
    problem: Problem,
    *,
    kernel_names: Mapping[str, Sequence[str]],
    cores: int,
    level: str,
    threads: Sequence[int | str] | None = None,
    kernels: Sequence[str] | None = None,
    peers: Collection[str] = (),
) -> list[Group]:
    """Return groups of one problem, with the kernels that `kernels` (globs) selects; by default all but `peers`."""
    names = _select(kernels or ("*",), kernel_names[problem.op], peers, "--kernels")
    group = Group("problem", problem, names, 1, level, DEFAULT_BASELINES[problem.op])
    return [replace(group, threads=count) for count in _thread_counts(threads or [1], cores)]


def _row(group: Group) -> dict[str, Any]:
    return columns(group.problem) | {"problem": str(group.problem), "threads": group.threads}


def _filtered(groups: list[Group], where: str) -> list[Group]:
    import pandas as pd

    from sparsebench.where import chosen

    holds = chosen(pd.DataFrame([_row(group) for group in groups]), where)
    if not holds.any():
        raise InputError(f"--where '{where}' selects none of {len(groups)} problems")
    return [group for group, take in zip(groups, holds, strict=True) if take]
