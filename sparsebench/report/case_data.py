"""All cases of a report as compact JSON, from which the page's script makes its table and details."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from sparsebench.report import repro
from sparsebench.report.frame import Record, variant_label
from sparsebench.results import CaseResult

if TYPE_CHECKING:
    from sparsebench.report.loaded import Loaded

_WORDS = (
    "run", "suite", "problem", "shape", "kernel", "level", "status", "error", "detail", "baseline", "bound",
    "timed_in", "stopped_by", "remarks",
)  # fmt: skip
_NUMBERS = (
    "N", "threads", "density", "median_s", "ci_low_s", "ci_high_s", "speedup", "speedup_ci_low", "speedup_ci_high",
    "gflops_useful", "gflops_dense", "roofline_fraction", "prepare_s", "packed_bytes", "rounds", "inner",
    "max_rel_error",
)  # fmt: skip
# What the script puts the kernel's name in place of: a word that a shell takes as it is.
KERNEL = "KERNEL"


def case_data(loaded: Loaded) -> str:
    """Return an object with `count` and `columns`; text that may stand within a ``<script>``.

    A column of words is ``[distinct words, index per case]``, one of numbers has four significant digits. `samples`
    are thousandths by which each sample is above the case's median.
    """
    records = loaded.records
    words = {name: _coded([record.get(name) for record in records]) for name in _WORDS}
    words["shape"] = _coded([record["shape"] or f"{record['M']}x{record['K']}" for record in records])
    words["pattern"] = _coded([variant_label(record) for record in records])
    words["command"] = _coded([_command(loaded, record) for record in records])
    numbers = {name: [_rounded(record[name]) for record in records] for name in _NUMBERS}
    samples = [_offsets(result) for result in loaded.results]
    data = {"count": len(records), "words": words, "numbers": numbers, "samples": samples, "placeholder": KERNEL}
    # "<" may not stand in a script: "</script>" would end it.
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _coded(values: Sequence[Hashable]) -> list[list[Any]]:
    index = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return [list(index), [index[value] for value in values]]


def _rounded(value: float | None) -> float | int | str | None:
    if value is None or isinstance(value, int):
        return value
    short = float(f"{value:.4g}")
    # JSON has no infinity, which an error may be.
    return str(value) if abs(value) == float("inf") else int(short) if short.is_integer() else short


def _command(loaded: Loaded, record: Record) -> str:
    """Return the command of all cases of a problem; a speed-up needs its baseline beside it."""
    kernels = list(dict.fromkeys([KERNEL, record["baseline"]]))
    settings = loaded.runs[record.get("run")].get("settings", {})  # type: ignore[index]
    return repro.command(settings, record["problem"], kernels, record["threads"], record["level"])


def _offsets(result: CaseResult) -> list[int]:
    if not result.measured or not result.median_s:
        return []
    return [round(1000 * (sample / result.median_s - 1)) for sample in result.samples_s]
