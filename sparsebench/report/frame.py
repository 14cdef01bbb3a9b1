"""Runs as one frame, and rows chosen from it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import Any

import pandas as pd

from sparsebench.errors import InputError
from sparsebench.results import COLUMNS
from sparsebench.run_folder import RunFolder
from sparsebench.where import chosen

Record = dict[str, Any]

# What says which case a row is, and so can be grouped by; all others are what came out.
CASE_COLUMNS = (
    *COLUMNS[: COLUMNS.index("kernel")],
    "provider",
    "level",
    "threads",
    "cache",
    "layout",
    "timed_in",
    "baseline",
)


def combine(folders: Sequence[RunFolder]) -> pd.DataFrame:
    """Concatenate runs; of several runs each row says in a first column ``run`` which one it is from.

    ``attrs["published"]`` are the figures that the runs' suites quote, see `sparsebench.suite.schema.PublishedTable`;
    ``attrs["warnings"]`` what a reader should know of each run.

    Raises
    ------
    InputError
        If a folder is given twice, or no run has a finished case.
    """
    if len({folder.path.resolve() for folder in folders}) < len(folders):
        raise InputError("a run is given twice")
    if not any(folder.finished() for folder in folders):
        lost = "".join(f"; {loss}" for folder in folders for loss in folder.losses)
        raise InputError(f"no case is finished in {', '.join(str(folder.path) for folder in folders)}{lost}")
    frame = folders[0].frame() if len(folders) == 1 else _joined(folders)
    frame.attrs["published"] = _published(folders)
    frame.attrs["warnings"] = _warnings(folders)
    return frame


def _joined(folders: Sequence[RunFolder]) -> pd.DataFrame:
    frames = []
    for name, folder in zip(run_names(folders), folders, strict=True):
        frame = folder.frame()
        frame.insert(0, "run", name)
        if not frame.empty:
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _warnings(folders: Sequence[RunFolder]) -> list[str]:
    """Return each warning once, with the runs that it is of where there are several."""
    runs: dict[str, list[str]] = {}
    for name, folder in zip(run_names(folders), folders, strict=True):
        for warning in folder.warnings():
            runs.setdefault(warning, []).append(name)
    everywhere = len(folders)
    return [text if len(names) == everywhere else f"{', '.join(names)}: {text}" for text, names in runs.items()]


def run_names(folders: Sequence[RunFolder]) -> list[str]:
    """Return what a reader calls the runs: the names of their folders, or their paths where two names are the same."""
    names = [folder.path.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder.path) for folder in folders]


def _published(folders: Sequence[RunFolder]) -> list[Record]:
    texts = dict.fromkeys(text for folder in folders for text in folder.run.get("suites", {}).values())
    return [entry for text in texts for entry in tomllib.loads(text).get("published", [])]


def select(frame: pd.DataFrame, expression: str) -> pd.DataFrame:
    """Return the rows for which an expression over the columns holds, such as ``N >= 16 and pattern == "block"``.

    Raises
    ------
    InputError
        If it is no such expression, or holds for no row.
    """
    holds = chosen(frame, expression)
    if not holds.any():
        raise InputError(f"--where '{expression}' holds for none of the {len(frame)} cases")
    return frame[holds]


def pattern_label(record: Record) -> str:
    """Return the pattern with its parameters, which only the problem string has: ``complementary/8``."""
    match = re.match(r"[^:]+:[^:]+:([^+]+)\+", record["problem"])
    return match[1] if match else str(record["pattern"])


def variant_label(record: Record) -> str:
    """Return the pattern, and whatever else of layout, cache and X is not as usual: ``complementary/8, cold``."""
    parts = [pattern_label(record)]
    parts += [record["cache"]] if record["cache"] != "warm" else []
    parts += [f"{record['layout']} X and Y"] if record["layout"] != "row" else []
    parts += [f"X {100 * record['act_density']:.3g}% dense"] if record["act_density"] != 1 else []
    return ", ".join(parts)


def sparsity_text(density: float) -> str:
    """Return the share of zeros in per cent: ``95%``."""
    return f"{100 * (1 - density):.4g}%"


def to_records(frame: pd.DataFrame) -> list[Record]:
    """Return rows as dicts in which whatever is absent is None."""
    plain = frame.astype(object)
    return [
        {str(key): value for key, value in row.items()} for row in plain.where(plain.notna(), None).to_dict("records")
    ]
