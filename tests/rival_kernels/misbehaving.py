"""Kernels that crash, hang, lie or fail: found through $SPARSEBENCH_KERNEL_PATH by the tests of the pool."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import numpy as np

from sparsebench.kernel import Kernel, PythonPlan


def _crash(problem, weights, threads):
    os.kill(os.getpid(), signal.SIGSEGV)


def _crash_when_timed(problem, weights, threads):
    calls = 0

    def compute(x, out):
        nonlocal calls
        calls += 1
        if calls > 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.matmul(weights.dense, x, out=out)

    return PythonPlan(compute, 1)


def _hang(problem, weights, threads):
    time.sleep(3600)


def _lie(problem, weights, threads):
    return PythonPlan(lambda x, out: np.zeros_like(out), 1)


def _lie_later(problem, weights, threads):
    """Right while it is checked, then it does nothing."""
    calls = 0

    def compute(x, out):
        nonlocal calls
        calls += 1
        return np.matmul(weights.dense, x, out=out) if calls == 1 else out

    return PythonPlan(compute, 1)


_seen = set()


def _thrifty(problem, weights, threads):
    """Keeps the W that it is given, and wants no two copies to be the same."""
    kept = (weights.dense, weights.csr.data)
    places = {array.ctypes.data for array in kept}
    if _seen & places:
        raise ValueError("two copies are the same memory")
    _seen.update(places)
    return PythonPlan(lambda x, out: np.matmul(kept[0], x, out=out), kept[0].nbytes)


class _Fatal:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGKILL)


def _die_at_the_end(problem, weights, threads):
    fatal = _Fatal()
    return PythonPlan(lambda x, out: (fatal, np.matmul(weights.dense, x, out=out))[1], 1)


def _raise(problem, weights, threads):
    raise MemoryError("no room for this one")


def _good(problem, weights, threads):
    plan = PythonPlan(lambda x, out: np.matmul(weights.dense, x, out=out), weights.dense.nbytes, str(os.getpid()))
    # As some libraries want it: X with its columns one after the other.
    return replace(plan, compute=lambda x, out: np.matmul(x, weights.dense.T, out=out), layout="column")


def _busy(problem, weights, threads):
    """Compute for about a millisecond, and remember nothing."""

    def compute(x, out):
        for _ in range(20_000):
            pass
        return weights.dense @ x

    return PythonPlan(compute, 1)


def _kernel(name, prepare, missing=None):
    return Kernel(name, "matmul", "test", name, lambda problem: None, prepare, timed_in="python", missing=missing)


KERNELS = [
    _kernel("bad-crash", _crash),
    _kernel("bad-crash-when-timed", _crash_when_timed),
    _kernel("bad-hang", _hang),
    _kernel("bad-lie", _lie),
    _kernel("bad-lie-later", _lie_later),
    _kernel("bad-raise", _raise),
    _kernel("bad-missing", _raise, "this library is not installed: pip install it"),
]
# The same, each in a process of its own library, and some that behave.
KERNELS += [replace(kernel, name=kernel.name.replace("bad", "far"), runtime="test") for kernel in KERNELS]
KERNELS += [replace(_kernel(f"far-good-{name}", _good), runtime=name) for name in ("test", "other")]
KERNELS += [replace(_kernel("far-busy", _busy), runtime="test")]
KERNELS += [_kernel("thrifty", _thrifty), replace(_kernel("far-thrifty", _thrifty), runtime="test")]
KERNELS += [replace(_kernel("far-die-at-the-end", _die_at_the_end), runtime="fatal")]
