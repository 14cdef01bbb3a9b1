"""Verdicts as GitHub Actions reads them: annotations in the log, and a summary of the step.

Source: GitHub's documentation, "Workflow commands for GitHub Actions"; it shows at most ten annotations of a step and
refuses a summary of more than 1 MiB.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

from sparsebench.errors import InputError
from sparsebench.report.thresholds import Outcome, severity
from sparsebench.report.verdicts import console, markdown
from sparsebench.report.verdicts.lines import Checked, lines

ANNOTATIONS = 10
SUMMARY_BYTES = 1 << 20
VARIABLE = "GITHUB_STEP_SUMMARY"
_LEVELS = {"broken": "error", "falls short": "error", "undecided": "warning"}


def write(checked: Checked, stream: TextIO) -> None:
    """Write annotations, the worst first, then the table for readers of the log; append to ``$GITHUB_STEP_SUMMARY``.

    Raises
    ------
    InputError
        If the variable is set and its file cannot be written.
    """
    ranked = sorted(zip(checked.outcomes, lines(checked), strict=True), key=lambda pair: severity(pair[0]))
    shown = [pair for pair in ranked if pair[0].verdict in _LEVELS][:ANNOTATIONS]
    for outcome, line in shown:
        level = _level(outcome, checked.strict)
        message = "\n".join(filter(None, [line.sentence, line.repro]))
        stream.write(f"::{level} title={_property(line.claim)}::{_data(message)}\n")
    console.write(checked, stream)
    if path := os.environ.get(VARIABLE):
        _append(Path(path), checked)


def _level(outcome: Outcome, strict: bool) -> str:
    return "error" if strict else _LEVELS[outcome.verdict]


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _append(path: Path, checked: Checked) -> None:
    """Append as many claims as there is room for beside what other commands of the step have written."""
    try:
        room = SUMMARY_BYTES - (path.stat().st_size if path.exists() else 0)
        most = len(checked.outcomes)
        text = markdown.render(checked, most)
        while len(text.encode()) >= room and most:
            most //= 2
            text = markdown.render(checked, most)
        if len(text.encode()) < room:
            with path.open("a", encoding="utf-8") as stream:
                stream.write(text)
    except OSError as error:
        raise InputError(f"${VARIABLE} names '{path}', which cannot be written: {error.strerror}") from error
