"""Two versions of sparsebench for tests: this one's files by links, and rivals that only one of them has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sparsebench.bench.pool import ROOT

RIVAL = """
import os, signal, time
import numpy as np
from sparsebench.kernel import Kernel, PythonPlan

def crash(): os.kill(os.getpid(), signal.SIGKILL)
def hang(): time.sleep(3600)

def prepare(problem, weights, threads):
    calls = 0
    def compute(x, out):
        nonlocal calls
        calls += 1
        {body}
        return np.matmul(weights.dense, x, out=out)
    return PythonPlan(compute, 1)

KERNELS = [
    Kernel(
        "{name}", "matmul", "sparsebench", "for tests", lambda problem: None, prepare, timed_in="python",
        runtime="{runtime}",
    )
]
"""


def version(folder: Path, runtime: str = "", **rivals: str) -> Path:
    """Return the root of a version with more kernels: their names, and what they do before each right answer.

    With a `runtime` they run in a process of their own.
    """
    package = folder / "sparsebench"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "sparsebench", package, copy_function=os.symlink, ignore=ignored)
    if (ROOT / "suites").is_dir():  # Where sparsebench is installed, they are in the package.
        shutil.copytree(ROOT / "suites", folder / "suites", copy_function=os.symlink)
    for name, body in rivals.items():
        (package / "baselines" / f"{name}.py").write_text(RIVAL.format(name=name, body=body, runtime=runtime))
    return folder
