"""A comparison as one JSON object, for programs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any, TextIO

from sparsebench.bench.ab_stats import Change
from sparsebench.report.ab.cases import Comparison


def write(comparison: Comparison, stream: TextIO, *, everything: bool) -> None:
    """Write all cases, whatever `everything` says; ratios are head's time over base's."""
    json.dump(
        {
            "folder": comparison.path,
            "machine": comparison.machine,
            "base": comparison.record["base"],
            "head": comparison.record["head"],
            "criteria": asdict(comparison.criteria),
            "complete": "finished" in comparison.record,
            "exit_code": comparison.exit_code,
            "counts": dict(comparison.counts),
            "kernels": [
                {"kernel": kernel.kernel, **_ratio(kernel.change), **kernel.counts} for kernel in comparison.kernels
            ],
            "cases": [asdict(case) | {"change": _ratio(case.change)} for case in comparison.cases],
            "warnings": list(comparison.warnings),
        },
        stream,
        indent=1,
    )
    stream.write("\n")


def _ratio(found: Change | None) -> dict[str, Any]:
    if found is None:
        return {}
    low, high = (None if limit is None else math.exp(limit) for limit in (found.low, found.high))
    return {
        "ratio": math.exp(found.estimate),
        "low": low,
        "high": high,
        "spread": found.spread,
        "pairs": found.pairs,
    }
