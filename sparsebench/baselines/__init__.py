"""Other libraries' kernels under our contract: one file per library, each with a list KERNELS."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsebench.errors import InputError
from sparsebench.patterns import Block

if TYPE_CHECKING:
    from sparsebench.problem import Problem

PATH_VARIABLE = "SPARSEBENCH_KERNEL_PATH"


def add_folders() -> None:
    """Have modules found in the folders that $SPARSEBENCH_KERNEL_PATH lists, too.

    Raises
    ------
    InputError
        If one of them is no folder.
    """
    for folder in filter(None, os.environ.get(PATH_VARIABLE, "").split(os.pathsep)):
        if not Path(folder).is_dir():
            raise InputError(f"${PATH_VARIABLE}: '{folder}' is not a folder")
        if folder not in __path__:
            __path__.append(folder)


def installed(distribution: str, title: str, options: str = "") -> dict[str, Any]:
    """Return `missing` or `version` of a `Kernel` whose library pip installs, without importing the library."""
    try:
        return {"version": metadata.version(distribution)}
    except metadata.PackageNotFoundError:
        return {"missing": f"{title} is not installed: pip install {distribution}{options}"}


def square_blocks(problem: Problem) -> list[int]:
    """Square block sizes that hold the pattern without fill and divide the matrix: MKL's BSR knows no other."""
    if not isinstance(problem.pattern, Block):
        return []
    rows, cols = problem.pattern.rows, problem.pattern.cols
    return [
        size
        for size in range(2, min(rows, cols) + 1)
        if rows % size == cols % size == problem.M % size == problem.K % size == 0
    ]


def supports_square_blocks(problem: Problem) -> str | None:
    """Return why a matrix cannot be stored in square blocks, or None: a `Kernel.supports`."""
    if not isinstance(problem.pattern, Block):
        return "needs pattern 'block'"
    if not square_blocks(problem):
        return f"no square block divides both {problem.pattern} and {problem.M} x {problem.K}"
    return None


def supports_im2col(problem: Problem) -> str | None:
    """Return why a convolution is not one matrix times columns that im2col writes, or None: a `Kernel.supports`."""
    return None if problem.conv is not None and problem.conv.groups == 1 else "takes no groups of channels"
