"""Which instruction-set level runs: the highest that the CPU has and the build holds, or the one asked for."""

from __future__ import annotations

import importlib
import os
import pkgutil
from functools import cache
from typing import Any

from sparsebench import _kernels
from sparsebench.errors import UnavailableError

ORDER = ("v2", "v3", "v4", "native", "generic")
VARIABLE = "SPARSEBENCH_ISA"


@cache
def built() -> list[str]:
    """Levels that this installation was compiled for, lowest first."""
    suffixes = {name.rpartition("__")[2] for _, name, _ in pkgutil.iter_modules(_kernels.__path__) if "__" in name[1:]}
    return [level for level in ORDER if level in suffixes]


@cache
def detected() -> list[str]:
    """Levels that this CPU has, lowest first."""
    from sparsebench._kernels._cpu import levels

    return list(levels())


def available() -> list[str]:
    """Levels that are built and that this CPU has, lowest first.

    A ``native`` level is one that was built with SPARSEBENCH_NATIVE=1 on this kind of machine; it counts as present.
    """
    return [level for level in built() if level in detected() or level == "native"]


def level_of(module_name: str) -> str:
    """Return the level that a compiled module was built for."""
    return module_name.rpartition("__")[2]


def require(level: str) -> str:
    """Return `level` if it can run here.

    Raises
    ------
    UnavailableError
        If the level is unknown, not built, or beyond this CPU; the message lists the ones that can run.
    """
    usable = available()
    if level in usable:
        return level
    if level not in ORDER:
        reason = "is not a level"
    elif level not in built():
        reason = "is not built into this installation"
    else:
        reason = "is more than this CPU has"
    raise UnavailableError(f"instruction set '{level}' {reason}; available here: {', '.join(usable) or 'none'}")


def active() -> str:
    """Return the level in use: $SPARSEBENCH_ISA, else the highest available.

    Raises
    ------
    UnavailableError
        If $SPARSEBENCH_ISA asks for what cannot run here, or nothing that was built can.
    """
    forced = os.environ.get(VARIABLE)
    if forced:
        try:
            return require(forced)
        except UnavailableError as error:
            raise UnavailableError(f"${VARIABLE}: {error}") from None
    usable = available()
    if not usable:
        raise UnavailableError(
            f"no kernel can run here: built for {', '.join(built()) or 'nothing'}, this CPU has"
            f" {', '.join(detected()) or 'none of our levels'}; reinstall with 'pip install --force-reinstall .'"
        )
    return usable[-1]


def rivals_at_avx2() -> bool:
    """Whether the level in use has no AVX-512: libraries that can be held to AVX2 then are, so that like meets like."""
    return active() in ("v2", "v3")


def module(stem: str, level: str | None = None) -> Any:
    """Return ``pyx/<stem>.pyx`` as it was compiled for a level; without one, for the level in use.

    Raises
    ------
    UnavailableError
        If the level cannot run here.
    """
    return importlib.import_module(f"{_kernels.__name__}.{stem}__{require(level) if level else active()}")
