"""Synthetic runs of one program for tests of what is kept: how much they scatter is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from test_report import make_case

from sparsebench.bench.machine import machine_key
from sparsebench.run_folder import RunFolder

PROBLEMS = [f"matmul:{m}x512x{n}:complementary/8+0.95:f32" for m in (512, 1024, 2048) for n in (1, 8)]
KERNELS = ("mkl-dense", "csr", "complementary")
RECORD: dict[str, Any] = {
    "name": "smoke",
    "sparsebench": "0.1.0",
    "started": "2026-11-01T10:00:00+00:00",
    "finished": "2026-11-01T10:01:00+00:00",
    "machine": machine_key(),
    "conditions": {"before": {"libraries": {"mkl": "1"}, "build": {"commit": "c0ffee"}}},
    "suites": {"smoke": "text"},
    "settings": {"data": None, "tune": False},
    "groups": [{"level": "v3", "suite": "smoke", "problem": PROBLEMS[0], "kernels": [], "threads": 1}],
    "git_commit": "c0ffee",
}


def make_run(
    path: Path,
    seed: int,
    *,
    scatter: float | Mapping[str, float] = 0.01,
    factors: Mapping[str, float] | None = None,
    **record: Any,
) -> RunFolder:
    """A run whose processes scatter by so much (of all kernels, or each); kernels take `factors` times as long."""
    rng = np.random.default_rng(seed)
    results = []
    for problem in PROBLEMS:
        rounds = rng.lognormal(0, 0.05, 15)
        for kernel in KERNELS:
            sd = scatter if isinstance(scatter, float) else scatter.get(kernel, 0.001)
            case = make_case(problem, kernel, 1)
            its = (factors or {}).get(kernel, 1.0) * rng.lognormal(0, sd) * float(case.median_s or 1)
            samples = [its * slow * rng.lognormal(0, 0.002) for slow in rounds]
            results.append(replace(case, samples_s=samples, median_s=float(np.median(samples))))
    folder = RunFolder.create(path, RECORD | record)
    folder.append(results)
    return RunFolder.open(path)
