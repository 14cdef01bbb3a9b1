"""Compares two runs case by case and kernel by kernel; see docs/comparing.md for what each verdict needs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from sparsebench.bench.change import discoveries, largest_difference, over_cases, p_beyond, shift
from sparsebench.bench.distance import differ
from sparsebench.bench.machine import key_hash
from sparsebench.bench.stats import Interval, geomean
from sparsebench.bench.usage import DISTURBED
from sparsebench.errors import EXIT_FAILED, EXIT_OK, EXIT_THRESHOLD, EXIT_WRONG, InputError
from sparsebench.kernel import OURS
from sparsebench.noise import Key, Noise, key_of
from sparsebench.report.metrics import duration
from sparsebench.results import CaseResult
from sparsebench.run_folder import RunFolder
from sparsebench.weights.names import nearest

# Problem, threads and level: cases that were timed in the same rounds.
Place = tuple[str, int, str]
Verdict = Literal["slower", "faster", "same", "ambiguous", "unknown"]
# What may differ between runs only if it is said that it does, and what a person reads of it.
FIELDS = {
    "machine": "machine",
    "libraries": "versions of the libraries",
    "suite": "text of the suites",
    "level": "instruction-set level",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a change counts.

    Attributes
    ----------
    threshold
        Relative change that is worth a verdict, and the margin within which two runs are the same.
    noise
        Change of a single case below which no verdict is given on it: what a process of its own does to a case. Of 40
        pairs of runs of one build (docs/comparing.md), six had cases that changed by 15 to 19 %. A case's own noise
        floor, where it has been measured, counts instead if it is larger.
    seconds
        Change of a single case's time below which none is given.
    rivals
        Change of a rival's time beyond which its group of cases was disturbed in one of the runs.
    """

    threshold: float = 0.03
    noise: float = 0.25
    seconds: float = 50e-9
    rivals: float = 0.15


@dataclass(frozen=True, slots=True)
class Change:
    """By what factor the time of a case or a kernel changed, relative to that of `relative_to` unless that is empty.

    Attributes
    ----------
    floor
        Of a case, the relative change that two runs of one program may differ by; None where that was not measured.
    own
        Of a case, the factor by which its time changed, relative to nothing.
    disturbed
        Of a case, what made its two times incomparable: others took CPUs from one of them, the hypervisor moved the
        CPUs apart, or a rival of the same rounds changed; "" if nothing did.
    """

    kernel: str
    place: str
    factor: Interval
    verdict: Verdict
    reason: str
    relative_to: str = ""
    floor: float | None = None
    own: float = 1.0
    disturbed: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from `base` to `head`.

    Attributes
    ----------
    broken
        Cases that were right in `base` and have no right answer in `head`.
    moved
        By kernel that others are relative to, the factor by which its own times changed.
    only_base, only_head
        How many cases the other run lacks.
    """

    base: str
    head: str
    kernels: tuple[Change, ...]
    cases: tuple[Change, ...]
    broken: tuple[CaseResult, ...]
    moved: Mapping[str, float]
    only_base: int
    only_head: int

    @property
    def exit_code(self) -> int:
        """3 if an answer became wrong, 4 if a case broke, 1 if something is slower, else 0."""
        if any(result.status == "wrong" for result in self.broken):
            return EXIT_WRONG
        if self.broken:
            return EXIT_FAILED
        slower = any(change.verdict == "slower" for change in (*self.kernels, *self.cases))
        return EXIT_THRESHOLD if slower else EXIT_OK


def differences(base: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what makes two runs incomparable: a field of `FIELDS`, and in words how they differ."""
    if key_hash(base["machine"]) != key_hash(head["machine"]):
        yield "machine", f"{base['machine'].get('model')} and {head['machine'].get('model')}"
    before, after = (run["conditions"]["before"]["libraries"] | dict(_rivals(run)) for run in (base, head))
    # Of a library that one of them did not have they share no case.
    changed = [name for name in sorted(before.keys() & after.keys()) if before[name] != after[name]]
    if changed:
        yield "libraries", ", ".join(f"{name} {before[name]} and {after[name]}" for name in changed)
    texts = (base["suites"], head["suites"])
    changed = [name for name in texts[0] if name in texts[1] and texts[0][name] != texts[1][name]]
    if changed:
        yield "suite", ", ".join(changed)
    levels = [sorted({group["level"] for group in run["groups"]}) for run in (base, head)]
    if levels[0] != levels[1]:
        yield "level", f"{', '.join(levels[0])} and {', '.join(levels[1])}"


def _rivals(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the libraries of the kernels that a run was to measure, with their versions."""
    planned = {name for group in run["groups"] for name in group["kernels"]}
    for name, entry in run.get("kernels", {}).items():
        if name in planned and entry["provider"] != OURS and entry["version"]:
            yield entry["provider"], entry["version"]


def compare(
    base: RunFolder,
    head: RunFolder,
    *,
    relative_to: str | None = None,
    limits: Limits | None = None,
    noise: Noise | None = None,
    kernels: Sequence[str] | None = None,
) -> Comparison:
    """Compare the cases that two runs share.

    Parameters
    ----------
    relative_to
        The kernel whose rounds each time is divided by; None for the baseline of each group, "" for none.
    noise
        What is known of the noise of cases on the machine of `head`.
    kernels
        Globs of the kernels to judge; None for our own. Of another library in the same version, a change is the
        machine's doing; it is in `moved` and in what times are relative to.

    Raises
    ------
    InputError
        If the runs share no measured case of these kernels, or `relative_to` is in neither.
    """
    limits = limits or Limits()
    before, after = _by_key(base.results()), _by_key(head.results())
    shared = [key for key in before if key in after]
    if relative_to and not any(key[1] == relative_to for key in shared):
        raise InputError(f"--relative-to: no case of both runs is of kernel '{relative_to}'")
    pairs = [(before[key], after[key]) for key in shared]
    both = [(old, new) for old, new in pairs if old.status == "ok" and new.status == "ok"]
    judged = [(old, new) for old, new in both if _is_judged(new, kernels)]
    broken = [new for old, new in pairs if old.status == "ok" and new.status in ("wrong", "failed", "timeout")]
    if not both and not broken:
        raise InputError(f"'{base.path}' and '{head.path}' share no measured case")
    if kernels is not None:
        _require_known(kernels, [new for _, new in pairs])
    if not judged and not broken:
        known = ", ".join(sorted({new.kernel for _, new in both}))
        asked = "of our own" if kernels is None else f"'{','.join(kernels)}'"
        raise InputError(f"no kernel {asked} was measured in both runs; --kernels may name {known}")
    unsteady = _unsteady([(old, new) for old, new in both if _is_control(new, kernels)], limits)
    changes = [_change(old, new, before, after, relative_to, unsteady.get(_group_of(old), "")) for old, new in judged]
    if noise is not None:
        changes = [
            _with_floor(change, new, noise, len(judged)) for change, (_, new) in zip(changes, judged, strict=True)
        ]
    cases = _judge_cases(changes, judged, limits)
    rivals = {change.relative_to for change in changes} - {""}
    moved = {
        name: geomean([(new.median_s or 0) / (old.median_s or 1) for old, new in both if old.kernel == name])
        for name in sorted(rivals)
    }
    return Comparison(
        str(base.path),
        str(head.path),
        tuple(_judge_kernels([case for case in cases if not case.disturbed], limits)),
        tuple(cases),
        tuple(broken),
        moved,
        len(before) - len(shared),
        len(after) - len(shared),
    )


def _by_key(results: Sequence[CaseResult]) -> dict[Key, CaseResult]:
    return {key_of(result): result for result in results}


def _with_floor(change: Change, case: CaseResult, noise: Noise, cases: int) -> Change:
    scatter = noise.of(case, change.relative_to)
    return change if scatter is None else replace(change, floor=math.expm1(largest_difference(scatter, cases)))


def _change(
    old: CaseResult,
    new: CaseResult,
    before: Mapping[Key, CaseResult],
    after: Mapping[Key, CaseResult],
    to: str | None,
    unsteady: str,
) -> Change:
    rival = old.baseline if to is None else to
    key = (old.problem, rival, old.threads, old.level)
    rivals = [results.get(key) for results in (before, after)]
    relative = rival and rival != old.kernel and all(r is not None and r.status == "ok" for r in rivals)
    samples = [list(old.samples_s), list(new.samples_s)]
    if relative:
        for side, (case, other) in enumerate(zip((old, new), rivals, strict=True)):
            assert other is not None
            if other.group != case.group:
                relative = False
                break
            samples[side] = [own / its for own, its in zip(case.samples_s, other.samples_s, strict=True)]
    if not relative:
        samples = [list(old.samples_s), list(new.samples_s)]
    threads = f"{old.threads} thread{'s' if old.threads > 1 else ''}"
    return Change(
        old.kernel,
        f"{old.problem}, {threads}, {old.level}",
        shift(samples[0], samples[1]),
        "unknown",
        "",
        rival if relative else "",
        own=(new.median_s or 1.0) / (old.median_s or 1.0),
        disturbed=_disturbed(old, new) or unsteady,
    )


def _require_known(globs: Sequence[str], cases: Sequence[CaseResult]) -> None:
    names = sorted({case.kernel for case in cases})
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in names):
            raise InputError(f"--kernels: no case of both runs is of kernel '{glob}'; {nearest(glob, names)}")


def _is_judged(case: CaseResult, kernels: Sequence[str] | None) -> bool:
    if kernels is None:
        return case.provider == OURS
    return any(fnmatchcase(case.kernel, glob) for glob in kernels)


def _disturbed(old: CaseResult, new: CaseResult) -> str:
    sides = (("base", old), ("head", new))
    for name, case in sides:
        if (case.others_cpus or 0.0) > DISTURBED * case.threads:
            return f"others took {case.others_cpus:.2f} CPUs while {name} was measured"
    if differ(old.round_trip_s, new.round_trip_s):
        apart = [f"{1e9 * (case.round_trip_s or 0.0):.0f} ns apart in {name}" for name, case in sides]
        return f"the CPUs were {' and '.join(apart)}"
    return ""


def _is_control(case: CaseResult, kernels: Sequence[str] | None) -> bool:
    return case.provider != OURS and not _is_judged(case, kernels)


def _group_of(case: CaseResult) -> Place:
    return case.problem, case.threads, case.level


def _unsteady(controls: Sequence[tuple[CaseResult, CaseResult]], limits: Limits) -> dict[Place, str]:
    """Say of which groups of cases a kernel that is the same in both runs changed, beyond what it did elsewhere.

    Whatever did that (another guest of the host that uses the same cache or core, say) was there for the other kernels
    of its rounds, too, and does not cancel: kernels bound by memory suffer more than those bound by arithmetic.
    """
    factors: dict[tuple[str, int, str], dict[Place, float]] = {}
    for old, new in controls:
        of_rival = factors.setdefault((new.kernel, new.threads, new.level), {})
        of_rival[_group_of(new)] = (new.median_s or 1.0) / (old.median_s or 1.0)
    worst: dict[Place, tuple[float, str]] = {}
    for (kernel, _, _), of_rival in factors.items():
        usual = statistics.median(of_rival.values())
        for group, factor in of_rival.items():
            size = max(factor / usual, usual / factor) - 1
            if size > max(limits.rivals, worst.get(group, (0.0, ""))[0]):
                worst[group] = (size, f"{kernel}, the same in both runs, changed by {factor / usual - 1:+.0%} here")
    return {group: said for group, (_, said) in worst.items()}


def _judge_cases(
    changes: Sequence[Change], pairs: Sequence[tuple[CaseResult, CaseResult]], limits: Limits
) -> list[Change]:
    """Give each case its verdict; the share of false ones among all is held below 5 %."""
    least = 1 + limits.threshold
    slower = _discovered(changes, [p_beyond(change.factor, least) for change in changes])
    faster = _discovered(changes, [p_beyond(_inverse(change.factor), least) for change in changes])
    judged = []
    for change, (_, head), is_slower, is_faster in zip(changes, pairs, slower, faster, strict=True):
        verdict, reason = _verdict(change.factor, is_slower, is_faster, limits)
        if verdict in ("slower", "faster") and (doubt := _doubt(change, head.median_s or 0.0, limits)):
            verdict, reason = "ambiguous", doubt
        judged.append(replace(change, verdict=verdict, reason=reason))
    return judged


def _discovered(changes: Sequence[Change], p_values: Sequence[float]) -> list[bool]:
    """Return the discoveries among those that were not disturbed; the others, which get no verdict, are all True."""
    found = iter(discoveries([p for change, p in zip(changes, p_values, strict=True) if not change.disturbed]))
    return [bool(change.disturbed) or next(found) for change in changes]


def _doubt(change: Change, seconds: float, limits: Limits) -> str:
    """Say why the change of a single case, which now takes so many seconds, proves nothing; "" if it may."""
    if change.disturbed:
        return change.disturbed
    size = max(change.factor.estimate, 1 / change.factor.estimate) - 1
    if size < limits.noise:
        return f"{size:.1%} is within what processes differ by, {limits.noise:.0%}"
    if change.floor is not None and size < change.floor:
        return f"{size:.1%} is within this case's noise, {change.floor:.0%}"
    if (by := abs(seconds - seconds / change.factor.estimate)) < limits.seconds:
        return f"{duration(by)} is below {duration(limits.seconds)}"
    # What the clock of a machine does to all kernels cancels; what a process does to the rival alone does not.
    own = change.own if change.factor.estimate > 1 else 1 / change.own
    if own < 1 + limits.threshold:
        return f"its own time changed by {change.own - 1:+.1%}: it is {change.relative_to} that moved"
    return ""


def _judge_kernels(cases: Sequence[Change], limits: Limits) -> Iterator[Change]:
    """Judge each kernel by all of its cases, whose scatter is that of processes and not of rounds alone."""
    kernels: dict[tuple[str, str], list[float]] = {}
    for case in cases:
        kernels.setdefault((case.kernel, case.relative_to), []).append(case.factor.estimate)
    found = [(key, len(factors), over_cases(factors)) for key, factors in kernels.items()]
    least = 1 + limits.threshold
    slower = discoveries([p_beyond(factor, least) for _, _, factor in found])
    faster = discoveries([p_beyond(_inverse(factor), least) for _, _, factor in found])
    for ((kernel, relative), count, factor), is_slower, is_faster in zip(found, slower, faster, strict=True):
        verdict, reason = _verdict(factor, is_slower, is_faster, limits)
        yield Change(kernel, f"{count} case{'s' if count > 1 else ''}", factor, verdict, reason, relative)


def _inverse(factor: Interval) -> Interval:
    if factor.low is None or factor.high is None:
        return Interval(None, 1 / factor.estimate, None)
    return Interval(1 / factor.high, 1 / factor.estimate, 1 / factor.low)


def _verdict(factor: Interval, slower: bool, faster: bool, limits: Limits) -> tuple[Verdict, str]:
    """Judge one factor by its interval alone; `slower` and `faster` are discoveries among all of its kind."""
    if factor.low is None or factor.high is None:
        return "unknown", "too few values for an interval"
    least = 1 + limits.threshold
    if slower and factor.low > least:
        return "slower", f"the whole interval is beyond {limits.threshold:.0%}"
    if faster and factor.high < 1 / least:
        return "faster", f"the whole interval is beyond {limits.threshold:.0%}"
    # Two one-sided tests of 5 %: the 90 % interval lies within the margin (Schuirmann 1987).
    if max(p_beyond(factor, 1 / least), p_beyond(_inverse(factor), 1 / least)) < 0.05:
        return "same", f"the interval is within {limits.threshold:.0%}"
    return "ambiguous", f"the interval, {factor.low:.3f} to {factor.high:.3f}, straddles a limit"
