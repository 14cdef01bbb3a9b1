"""Finds kernels: compiled ones by their module's name, rivals by their file in `baselines`.

Folders listed in $SPARSEBENCH_KERNEL_PATH (separated like $PATH) are searched for more files of the kind that
`baselines` holds, so that a kernel of one's own competes without a change to the package.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from functools import cache
from types import ModuleType

import sparsebench
from sparsebench import _kernels, baselines, isa
from sparsebench.kernel import OURS, Kernel

# A compiled module is a kernel if its name ends in an op; others (_timer, ceiling) are infrastructure.
OPS = ("matmul", "conv2d", "network")
_CONTRACT = ("NAME", "OP", "SUMMARY", "supports", "prepare")


class BrokenKernelError(RuntimeError):
    """A kernel's module does not import, breaks the contract, or takes a name that is in use."""


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise BrokenKernelError(f"{name} does not import: {type(error).__name__}: {error}") from error


def compiled(level: str) -> list[Kernel]:
    """Our kernels, from the modules compiled for `level`."""
    found = []
    for _, module_name, _ in pkgutil.iter_modules(_kernels.__path__):
        stem, _, suffix = module_name.rpartition("__")
        if suffix != level or stem.rpartition("_")[2] not in OPS:
            continue
        module = _import(f"{_kernels.__name__}.{module_name}")
        lacking = [name for name in _CONTRACT if not hasattr(module, name)]
        if lacking:
            raise BrokenKernelError(f"{module.__name__} lacks {', '.join(lacking)}")
        found.append(
            Kernel(
                name=module.NAME,
                op=module.OP,
                provider=OURS,
                summary=module.SUMMARY,
                supports=module.supports,
                prepare=module.prepare,
                level=level,
                dense=getattr(module, "DENSE", False),
                skips_zeros=getattr(module, "SKIPS_ZEROS", False),
                version=sparsebench.__version__,
            )
        )
    return found


def rivals() -> list[Kernel]:
    """Other libraries' kernels, one module of `baselines` a library."""
    found: list[Kernel] = []
    baselines.add_folders()
    for _, module_name, _ in pkgutil.iter_modules(baselines.__path__):
        module = _import(f"{baselines.__name__}.{module_name}")
        if not isinstance(getattr(module, "KERNELS", None), list):
            raise BrokenKernelError(f"{module.__name__} has no list KERNELS")
        found.extend(replace(kernel, module=module.__name__) for kernel in module.KERNELS)
    return found


@cache
def kernels(op: str = "matmul", level: str | None = None) -> dict[str, Kernel]:
    """All kernels of an op by name, ours first; unavailable ones are included, with the reason in `missing`.

    Raises
    ------
    BrokenKernelError
        If a module is broken or two kernels have one name.
    UnavailableError
        If the level cannot run here.
    """
    from sparsebench.nets.kernels import kernels as networks

    found: dict[str, Kernel] = {}
    level = isa.require(level) if level else isa.active()
    for kernel in [*compiled(level), *networks(level), *rivals()]:
        if kernel.op != op:
            continue
        if kernel.name in found:
            raise BrokenKernelError(f"kernel '{kernel.name}' is defined twice for op {op}")
        found[kernel.name] = kernel
    return found


def all_kernels(level: str | None = None) -> dict[str, dict[str, Kernel]]:
    """Kernels of every op, by op and name; raises as `kernels` does."""
    return {op: kernels(op, level) for op in OPS}


def peers(level: str | None = None) -> frozenset[str]:
    """Names of the kernels that run in processes of their own: what suites leave out unless they ask for it."""
    return frozenset(
        kernel.name for named in all_kernels(level).values() for kernel in named.values() if kernel.runtime
    )
