"""Runs on disk made of given cases, for tests of reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparsebench.results import CaseResult
from sparsebench.run_folder import RunFolder

RUN: dict[str, Any] = {
    "name": "smoke",
    "sparsebench": "0.1.0",
    "argv": ["sparsebench", "run", "smoke"],
    "started": "2026-11-23T14:45:47+00:00",
    "finished": "2026-11-23T14:46:47+00:00",
    "suites": {"smoke": 'title = "First <look>"'},
    "machine": {"model": "Some CPU", "cores": 2, "caches": {"L1d": 49152}},
    "conditions": {"before": {"governor": None, "load": [0.5, 0.25]}},
    "conditions_after": {"governor": None, "load": [1.5, 0.25]},
    "warnings": ["this is a virtual machine: <doubt>"],
    "kernels": {"csr": {"provider": "sparsebench", "version": "0.1.0", "missing": None}},
    "settings": {"data": None, "tune": False},
    "ceilings": {
        f"v4, {threads} threads": {
            "fma_gflops": 250.0 * threads,
            "read_gbytes": {"L1d": 500.0 * threads, "L2": 250.0 * threads, "L3": 100.0 * threads, "memory": 50.0},
        }
        for threads in (1, 2)
    },
}


def make_run(path: Path, cases: Sequence[CaseResult], **entries: Any) -> RunFolder:
    """Write a finished run; `entries` replace those of its ``run.json``."""
    folder = RunFolder.create(path, RUN | entries)
    folder.append(cases)
    return RunFolder.open(path)
