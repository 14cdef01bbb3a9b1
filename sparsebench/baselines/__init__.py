"""Other libraries' kernels under our contract: one file per library, each with a list KERNELS."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sparsebench.errors import InputError

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


def supports_im2col(problem: Problem) -> str | None:
    """Return why a convolution is not one matrix times columns that im2col writes, or None: a `Kernel.supports`."""
    return None if problem.conv is not None and problem.conv.groups == 1 else "takes no groups of channels"
