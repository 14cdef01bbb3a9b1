"""Thresholds: claims about results, in suites and in files of their own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from sparsebench import toml_tables
from sparsebench.errors import InputError
from sparsebench.toml_tables import STRICT

ROOFLINE = "roofline"
Metric = Literal[
    "speedup",
    "roofline_fraction",
    "median_s",
    "time_per_column_s",
    "items_per_s",
    "gflops_useful",
    "gflops_dense",
    "prepare_s",
    "selection_s",
    "packed_bytes",
    "kept_l1",
    "kept_l2",
]
# Ratios within a run, and properties of what was packed, travel between machines; times and rates do not.
_PORTABLE: frozenset[Metric] = frozenset({"speedup", "roofline_fraction", "packed_bytes", "kept_l1", "kept_l2"})

Positive = Annotated[float, Field(gt=0)]


class ThresholdTable(BaseModel):
    """A claim about results, for regression checks."""

    model_config = STRICT

    claim: str = Field(min_length=1)
    kernel: str
    against: str | Annotated[list[str], Field(min_length=1)] | None = Field(
        None,
        description="For speedup: a kernel; a list, meaning in each case the fastest of them; or 'roofline', the"
        " ceiling of the machine.",
    )
    where: str = Field("", description='An expression over the columns of results.csv, such as "N >= 16".')
    statistic: Literal["geomean", "min", "median", "max"] = Field(
        "geomean", description="What is made of the cases that match."
    )
    at_least: Positive | None = None
    at_most: Positive | None = None
    metric: Metric = "speedup"
    machine: Annotated[str, Field(pattern="^[0-9a-f]{12}$")] | None = Field(
        None, description="Key of the machine on which the claim holds; needed for times and rates. Skipped elsewhere."
    )
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95

    @property
    def rivals(self) -> tuple[str, ...]:
        """Kernels of which in each case the fastest is compared with; none for other metrics than speedup."""
        if self.against is None or self.against == ROOFLINE:
            return ()
        return (self.against,) if isinstance(self.against, str) else tuple(self.against)

    @property
    def measure(self) -> str:
        """The column that is judged: a speed-up over the roofline is a fraction of it."""
        return "roofline_fraction" if self.against == ROOFLINE else self.metric

    @model_validator(mode="after")
    def _has_limits(self) -> ThresholdTable:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most, or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least is {self.at_least:g}; it must not be more than at_most, {self.at_most:g}")
        return self

    @model_validator(mode="after")
    def _compares_what_can_be_compared(self) -> ThresholdTable:
        if self.metric == "speedup" and self.against is None:
            raise ValueError("metric 'speedup' needs against = a kernel, a list of kernels, or 'roofline'")
        if self.metric not in ("speedup", "roofline_fraction") and self.against is not None:
            raise ValueError(f"against is for metric 'speedup'; leave it out for '{self.metric}'")
        if self.metric == "roofline_fraction" and self.against not in (None, ROOFLINE):
            raise ValueError("metric 'roofline_fraction' is against = 'roofline'")
        if self.kernel in self.rivals or ROOFLINE in self.rivals:
            wrong = self.kernel if self.kernel in self.rivals else ROOFLINE
            raise ValueError(f"against must be other kernels; it has '{wrong}'")
        return self

    @model_validator(mode="after")
    def _times_belong_to_a_machine(self) -> ThresholdTable:
        if self.metric not in _PORTABLE and self.machine is None:
            raise ValueError(
                f"metric '{self.metric}' is a time or a rate of one machine: give machine = its key, which"
                " 'sparsebench doctor' shows"
            )
        return self


class ThresholdFile(BaseModel):
    """A file of thresholds alone."""

    model_config = STRICT

    thresholds: Annotated[list[ThresholdTable], Field(min_length=1)]


_INNER = toml_tables.Inner(keys={"thresholds": ThresholdTable}, branches={})


@dataclass(frozen=True, slots=True)
class Threshold:
    """A claim, and where it stands.

    Attributes
    ----------
    origin
        The file or suite that it is from, for people.
    suite
        Only cases of this suite are meant; None for all.
    """

    table: ThresholdTable
    origin: str
    suite: str | None = None


def read_thresholds(names: Sequence[str]) -> list[Threshold]:
    """Read files of thresholds, which are about all cases of a run; or suites, which are about their own.

    Each is a path, or the name of a shipped suite.

    Raises
    ------
    InputError
        If a file cannot be read or anything in it is wrong: a line for each key.
    """
    found = []
    for name in names:
        path = toml_tables.find(name, toml_tables.folder(), "thresholds")
        _, data = toml_tables.parse(path)
        suite = path.stem if "problems" in data or "models" in data else None
        content = data if suite is None else {"thresholds": data.get("thresholds", [])}
        tables = toml_tables.validate(content, str(path), ThresholdFile, _INNER).thresholds
        found += [Threshold(table, path.name, suite) for table in tables]
    return found


def of_suites(texts: Mapping[str, str]) -> list[Threshold]:
    """Return the thresholds in the texts of suites, as ``run.json`` keeps them; each is about its suite's cases.

    Raises
    ------
    InputError
        If there are none, or one of them is wrong: written for another version of sparsebench, perhaps.
    """
    found = []
    for name, text in texts.items():
        try:
            # Only this key: problems of an older schema are no concern of a check.
            tables = tomllib.loads(text).get("thresholds")
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"suite '{name}', as the run keeps it, is not valid TOML: {error}") from None
        if tables:
            content = toml_tables.validate({"thresholds": tables}, f"suite '{name}'", ThresholdFile, _INNER)
            found += [Threshold(table, f"suite {name}", name) for table in content.thresholds]
    if not found:
        named = ", ".join(f"'{name}'" for name in texts) or "a run of single problems"
        raise InputError(f"there are no thresholds in {named}: give --thresholds FILE")
    return found
