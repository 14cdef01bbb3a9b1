"""What runs of one and the same program differ by, case by case: measured by A/A runs, used by compare and check."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

from sparsebench.bench.change import Scatter, scatter
from sparsebench.bench.stats import median
from sparsebench.errors import InputError
from sparsebench.results import CaseResult
from sparsebench.run_folder import RunFolder

Key = tuple[str, str, int, str]
FEWEST_RUNS = 3
OLD = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class CaseNoise:
    """How much a case scatters from one run to the next.

    Attributes
    ----------
    rival
        Baseline of its group, to which `relative_sd` is relative; "" where the case is the baseline, or has none.
    sd, freedom
        Of the logarithm of its median time: standard deviation and degrees of freedom, see `scatter`.
    relative_sd, relative_freedom
        The same of the median of its rounds' times over the rival's; None without a rival.
    runs
        How many runs this is known from.
    measured
        When the last of them began, ISO 8601, UTC.
    version, suites
        sparsebench's, and a digest of the texts of their suites.
    """

    problem: str
    kernel: str
    threads: int
    level: str
    rival: str
    sd: float
    freedom: float
    relative_sd: float | None
    relative_freedom: float | None
    runs: int
    measured: str
    version: str
    suites: str

    @property
    def key(self) -> Key:
        """What names the case: problem, kernel, threads, level."""
        return (self.problem, self.kernel, self.threads, self.level)


@dataclass(frozen=True)
class Noise:
    """What is known of the noise of cases on one machine."""

    cases: Mapping[Key, CaseNoise]

    def of(self, case: CaseResult, rival: str) -> Scatter | None:
        """Return the scatter of a case's time, over that of a rival unless that is ""; None where it is not known.

        Over a rival that A/A runs were not relative to, both are taken to scatter independently, which is too much
        rather than too little.
        """
        own = self.cases.get(key_of(case))
        if own is None:
            return None
        if not rival:
            return Scatter(own.sd, own.freedom)
        if rival == own.rival and own.relative_sd is not None and own.relative_freedom is not None:
            return Scatter(own.relative_sd, own.relative_freedom)
        other = self.cases.get((case.problem, rival, case.threads, case.level))
        if other is None:
            return None
        return Scatter(math.hypot(own.sd, other.sd), min(own.freedom, other.freedom))


def key_of(case: CaseResult) -> Key:
    """Return what names a case from one run to the next."""
    return (case.problem, case.kernel, case.threads, case.level)


def from_runs(folders: Sequence[RunFolder]) -> list[CaseNoise]:
    """Return how much the cases scatter that were measured, rightly, in all of several runs of one program.

    Raises
    ------
    InputError
        If there are fewer than `FEWEST_RUNS`, one is not complete, they differ in program, suite or machine, or share
        no measured case.
    """
    _require_alike(folders)
    runs = [{key_of(case): case for case in folder.results() if case.status == "ok"} for folder in folders]
    shared = [key for key in runs[0] if all(key in run for run in runs)]
    if not shared:
        raise InputError(f"{', '.join(str(folder.path) for folder in folders)} share no measured case")
    own = scatter([[run[key].median_s or math.nan for run in runs] for key in shared])
    ratios = {key: [_over_rival(key, run) for run in runs] for key in shared}
    whole = {key: [ratio for ratio in found if ratio is not None] for key, found in ratios.items()}
    whole = {key: found for key, found in whole.items() if len(found) == len(runs)}
    relative = dict(zip(whole, scatter(list(whole.values())), strict=True)) if whole else {}
    last = max(folders, key=lambda folder: str(folder.run["started"])).run
    return [
        CaseNoise(
            *key,
            rival=runs[0][key].baseline if key in relative else "",
            sd=scattered.sd,
            freedom=scattered.freedom,
            relative_sd=relative[key].sd if key in relative else None,
            relative_freedom=relative[key].freedom if key in relative else None,
            runs=len(runs),
            measured=last["started"],
            version=last["sparsebench"],
            suites=suites_digest(last),
        )
        for key, scattered in zip(shared, own, strict=True)
    ]


def _over_rival(key: Key, run: Mapping[Key, CaseResult]) -> float | None:
    """Return the median, over the rounds, of a case's time over that of its group's baseline."""
    case = run[key]
    rival = run.get((case.problem, case.baseline, case.threads, case.level))
    if rival is None or rival is case or rival.group != case.group:
        return None
    return median([own / its for own, its in zip(case.samples_s, rival.samples_s, strict=True)])


def _require_alike(folders: Sequence[RunFolder]) -> None:
    from sparsebench.report.compare import FIELDS, differences

    if len(folders) < FEWEST_RUNS:
        raise InputError(f"{len(folders)} runs tell too little of noise: give {FEWEST_RUNS} or more")
    first = folders[0]
    for one, other in combinations(folders, 2):
        if one.path.resolve() == other.path.resolve() or one.results() == other.results():
            raise InputError(
                f"'{one.path}' and '{other.path}' are the same run, or copies of it: noise is what runs differ by"
            )
    for folder in folders:
        if not folder.complete:
            raise InputError(f"'{folder.path}' is not complete: sparsebench run --resume {folder.path}")
        for field, how in differences(first.run, folder.run):
            raise InputError(f"'{first.path}' and '{folder.path}' differ in the {FIELDS[field]} ({how}): not A/A runs")
        builds = [(run.get("git_commit"), run["conditions"]["before"].get("build")) for run in (first.run, folder.run)]
        if builds[0] != builds[1]:
            raise InputError(f"'{first.path}' and '{folder.path}' are of other builds of sparsebench: not A/A runs")


def suites_digest(run: Mapping[str, Any]) -> str:
    """Return a digest of the texts of a run's suites."""
    return hashlib.sha256(repr(sorted(run["suites"].items())).encode()).hexdigest()[:12]


def doubts(cases: Iterable[CaseNoise], run: Mapping[str, Any], now: datetime | None = None) -> Iterator[str]:
    """Yield why noise that was measured may not be that of a run, a sentence each."""
    now = now or datetime.now(UTC)
    found: Counter[str] = Counter()
    for case in cases:
        age = now - datetime.fromisoformat(case.measured)
        if age > OLD:
            found[f"measured {age.days} days ago"] += 1
        if case.version != run["sparsebench"]:
            found[f"measured with sparsebench {case.version}, not {run['sparsebench']}"] += 1
        if case.suites != suites_digest(run):
            found["measured with another text of the suite"] += 1
    for why, count in found.items():
        yield f"noise of {count} case{'s' if count > 1 else ''} was {why}; measure it again: sparsebench noise SUITE"
