"""Verdicts as JSON, for programs."""

from __future__ import annotations

import json
from typing import Any, TextIO

from sparsebench.bench.stats import Interval
from sparsebench.report.thresholds import Outcome, confidence_at
from sparsebench.report.verdicts.lines import Checked, Line, lines


def write(checked: Checked, stream: TextIO) -> None:
    """Write one object: the run, its machine key, the exit code, and the thresholds in their order.

    Values are in the units of ``results.csv``; a limit of an interval that cannot be told is null.
    """
    content = {
        "run": checked.run,
        "machine": checked.machine,
        "exit_code": checked.exit_code,
        "thresholds": [
            _threshold(outcome, line, checked.looks)
            for outcome, line in zip(checked.outcomes, lines(checked), strict=True)
        ],
    }
    json.dump(content, stream, indent=1)
    stream.write("\n")


def _threshold(outcome: Outcome, line: Line, looks: int) -> dict[str, Any]:
    table = outcome.threshold.table
    worst = outcome.worst
    return {
        **table.model_dump(),
        "origin": outcome.threshold.origin,
        "verdict": outcome.verdict,
        "measured": _value(outcome.value),
        "cases": len(outcome.cells),
        "worst": {
            **worst.place._asdict(),
            "rival": worst.rival or None,
            "measured": _value(worst.at(confidence_at(table, looks))),
            "repro": line.repro,
        }
        if worst
        else None,
        "notes": list(outcome.notes),
    }


def _value(interval: Interval | None) -> dict[str, float | None] | None:
    return interval._asdict() if interval else None
