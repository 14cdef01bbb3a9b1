"""What ``sparsebench ab`` will measure, decided before anything is; and the comparison itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sparsebench import isa, suite
from sparsebench.ab_folder import AbFolder, PairRecord
from sparsebench.bench import machine
from sparsebench.bench.ab import LABELS, Effort, Label, Listener, Settings, measure, started
from sparsebench.bench.ab_stats import MIN_PAIRS, Criteria
from sparsebench.bench.checkout import Commit, default_base, repository, require_drivable, resolve, working_tree
from sparsebench.bench.plan import Request, circumstances, expand_request, request_name
from sparsebench.bench.watch import disturbance
from sparsebench.errors import InputError
from sparsebench.kernel import OURS
from sparsebench.memory import require_memory
from sparsebench.operands import estimate_bytes
from sparsebench.problem import Problem
from sparsebench.registry import peers
from sparsebench.suite import Group


@dataclass(frozen=True, slots=True)
class AbPlan:
    """Groups, each of the kernels that either side has; and how they are measured."""

    name: str
    groups: tuple[Group, ...]
    settings: Settings
    suite_texts: Mapping[str, str]

    @property
    def seconds(self) -> float:
        """Time for all samples; preparing and starting processes comes on top."""
        effort = self.settings.effort
        return len(self.groups) * effort.repeats * effort.seconds


def find_commits(folder: Path, base: str | None, head: str | None) -> tuple[Path, dict[Label, Commit]]:
    """Return the checkout around a folder, and the commits to compare; see ``sparsebench ab --help`` for defaults.

    Raises
    ------
    InputError
        If there is no checkout, a revision is no commit, nothing differs, or a side cannot be driven.
    """
    repo = repository(folder)
    head_commit = resolve(repo, head) if head else working_tree(repo)
    base_commit = resolve(repo, base) if base else default_base(repo, head_commit)
    for commit in (base_commit, head_commit):
        require_drivable(repo, commit)
    return repo, {"base": base_commit, "head": head_commit}


def required_level(request: Request) -> str:
    """Return the instruction-set level that both sides are built for and run with; raises as `sparsebench.isa` does."""
    return isa.require(request.level) if request.level else isa.active()


def check_request(request: Request, repeats: int) -> None:
    """Refuse, before minutes of building, what is wrong whatever kernels there are.

    Raises
    ------
    InputError
        If a suite or a problem cannot be read, there is none, or a number makes no sense.
    """
    if repeats < MIN_PAIRS:
        raise InputError(f"--repeats {repeats}: at least {MIN_PAIRS}, for what differs between processes to be seen")
    if request.budget is not None and request.budget <= 0:
        raise InputError("--budget must be more than 0 seconds")
    if not request.suites and not request.problems:
        raise InputError("nothing to compare: name a suite ('sparsebench list suites' shows them) or give --problem")
    for name in request.suites:
        suite.load(name)
    for text in request.problems:
        Problem.parse(text)


def make_plan(request: Request, roots: Mapping[Label, Path], level: str, repeats: int) -> AbPlan:
    """Ask both sides what they have, and expand suites and problem strings over it.

    Without `Request.kernels`, only our kernels are compared: other libraries' are the same on both sides.

    Raises
    ------
    InputError
        For anything wrong in the request, a suite, or a problem; also for sizes that do not fit in memory twice.
    WorkerError
        If a side does not start.
    """
    cpus = tuple(machine.usable_cpus())
    settings = Settings(roots, cpus, request.data, Effort(repeats=repeats), request.time_limit)
    providers: dict[str, dict[str, str]] = {}
    for label in LABELS:
        with started(label, 1, level, settings) as side:
            for op, named in side.kernels.items():
                providers[op] = named | providers.get(op, {})
    names = {op: list(named) for op, named in providers.items()}
    groups, texts = expand_request(request, names, len(cpus), level, peers(level))
    if request.kernels is None:
        groups = list(_ours(groups, providers))
    if not groups:
        raise InputError("nothing to compare: no kernel of ours is in it; name others with --kernels")
    for problem in {group.problem for group in groups}:
        require_memory(2 * estimate_bytes(problem), f"problem {problem}, on both sides,")
    plan = AbPlan(request_name(request, texts), tuple(groups), settings, texts)
    if request.budget is None:
        return plan
    effort = replace(settings.effort, seconds=request.budget / (repeats * len(groups)))
    return replace(plan, settings=replace(settings, effort=effort))


def _ours(groups: Sequence[Group], providers: Mapping[str, Mapping[str, str]]) -> Iterator[Group]:
    for group in groups:
        names = tuple(name for name in group.kernels if providers[group.problem.op][name] == OURS)
        if names:
            yield replace(group, kernels=names)


def describe(plan: AbPlan, commits: Mapping[Label, Commit], criteria: Criteria, argv: Sequence[str]) -> dict[str, Any]:
    """All that ``ab.json`` says at the start of a comparison."""
    settings = plan.settings
    return circumstances(plan.name, plan.suite_texts, [], argv) | {
        "base": asdict(commits["base"]),
        "head": asdict(commits["head"]),
        "builds": {label: _build_info(settings.roots[label]) for label in LABELS},
        "criteria": asdict(criteria),
        "settings": {
            "data": str(settings.data) if settings.data else None,
            "effort": asdict(settings.effort),
            "time_limit": settings.time_limit,
        },
    }


def _build_info(root: Path) -> str:
    """Return what a build recorded of itself: compiler, flags, levels."""
    return (root / "sparsebench" / "_kernels" / "_build_info.py").read_text(encoding="utf-8")


def execute(plan: AbPlan, folder: AbFolder, listener: Listener) -> Iterator[list[PairRecord]]:
    """Carry the plan out; each problem's records are in the folder before they are yielded."""
    with disturbance(folder, plan.settings.cpus[: max(group.threads for group in plan.groups)]):
        for records in measure(plan.groups, plan.settings, listener):
            folder.append(records)
            yield records
    folder.update(finished=datetime.now(UTC).isoformat(timespec="seconds"))
