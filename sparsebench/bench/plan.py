"""What a run will measure, decided before anything is measured; and the run itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sparsebench
from sparsebench import isa, suite
from sparsebench.bench import engine, machine
from sparsebench.bench.pool import Listener, Settings, run_groups
from sparsebench.bench.roofline import Ceilings, load_or_measure, roof, work
from sparsebench.bench.sampler import Effort
from sparsebench.bench.watch import watching
from sparsebench.errors import EXIT_FAILED, EXIT_OK, EXIT_WRONG, InputError
from sparsebench.kernel import Kernel
from sparsebench.memory import require_memory
from sparsebench.operands import estimate_bytes
from sparsebench.problem import Problem
from sparsebench.registry import all_kernels, peers
from sparsebench.results import CaseResult
from sparsebench.run_folder import RunFolder
from sparsebench.suite import Group

FALLBACK_BASELINES = {"matmul": "numpy-dense", "conv2d": "numpy-im2col", "network": "net-dense"}


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for; the defaults are those of ``sparsebench run``.

    Attributes
    ----------
    suites
        Names of shipped suites or paths of suite files.
    problems
        Problem strings, run with the default baseline.
    threads
        Replaces the suites' thread counts.
    budget
        Seconds of measuring for the whole run, shared evenly among its groups.
    """

    suites: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    threads: tuple[int | str, ...] | None = None
    kernels: tuple[str, ...] | None = None
    where: str | None = None
    level: str | None = None
    seed: int | None = None
    budget: float | None = None
    data: Path | None = None
    time_limit: float = 120.0
    tune: bool = False


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Groups in the order in which they will run, and all that is recorded beside their results."""

    name: str
    groups: tuple[Group, ...]
    settings: Settings
    kernels: dict[str, dict[str, Kernel]]
    suite_texts: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def cases(self) -> int:
        """Number of cases: groups times their kernels."""
        return sum(len(group.kernels) for group in self.groups)


def make_plan(request: Request) -> RunPlan:
    """Expand suites and problem strings into groups, and refuse what cannot run before anything does.

    Raises
    ------
    InputError
        For anything wrong in the request, a suite, or a problem; also for sizes that do not fit in memory.
    UnavailableError
        If the instruction-set level cannot run here.
    """
    level = isa.require(request.level) if request.level else isa.active()
    known = all_kernels(level)
    cpus = tuple(machine.usable_cpus())
    groups, texts = expand_request(
        request, {op: list(named) for op, named in known.items()}, len(cpus), level, peers(level)
    )
    warnings = _fit(groups, known)
    effort = Effort() if request.budget is None else _effort(request.budget / len(groups))
    settings = Settings(request.data, cpus, effort, request.time_limit, request.tune)
    return RunPlan(
        request_name(request, texts), tuple(_with_baselines(groups, known)), settings, known, texts, tuple(warnings)
    )


def request_name(request: Request, texts: Mapping[str, str]) -> str:
    """Return what a run is called: its suites, and "problem" where problems were named."""
    return "+".join([*texts, *(["problem"] if request.problems else [])])


def expand_request(
    request: Request, kernel_names: Mapping[str, Sequence[str]], cores: int, level: str, peers: Collection[str] = ()
) -> tuple[list[Group], dict[str, str]]:
    """Return the groups of a request, without added baselines, and the texts of its suites by name.

    Parameters
    ----------
    kernel_names
        Names of kernels by op.
    peers
        Those that run only where they are asked for.

    Raises
    ------
    InputError
        If something in it is wrong, or it asks for nothing.
    """
    common: dict[str, Any] = {
        "kernel_names": kernel_names,
        "cores": cores,
        "level": level,
        "threads": list(request.threads) if request.threads else None,
        "kernels": list(request.kernels) if request.kernels else None,
        "peers": peers,
    }
    groups: list[Group] = []
    texts: dict[str, str] = {}
    for name in request.suites:
        loaded = suite.load(name)
        texts[loaded.name] = loaded.text
        groups += suite.expand(loaded, **common, where=request.where, data=request.data, seed=request.seed)
    for text in request.problems:
        problem = Problem.parse(text)
        if request.seed is not None:
            problem = replace(problem, seed=request.seed)
        groups += suite.single(problem, **common)
    if not groups:
        raise InputError("nothing to run: name a suite ('sparsebench list suites' shows them) or give --problem")
    return groups, texts


def _effort(seconds: float) -> Effort:
    if seconds <= 0:
        raise InputError("--budget must be more than 0 seconds")
    return replace(Effort(), seconds=seconds, min_rounds=min(Effort().min_rounds, 5))


def _fit(groups: Sequence[Group], known: dict[str, dict[str, Kernel]]) -> list[str]:
    for problem in {group.problem for group in groups}:
        require_memory(estimate_bytes(problem), f"problem {problem}")
    lacking = sorted({(group.problem.op, group.baseline) for group in groups if _missing(group, known)})
    return [
        f"baseline {name} is unavailable, so speed-ups are over {FALLBACK_BASELINES[op]} instead"
        f" ({known[op][name].missing})"
        for op, name in lacking
    ]


def _missing(group: Group, known: dict[str, dict[str, Kernel]]) -> str | None:
    return known[group.problem.op][group.baseline].missing


def _with_baselines(groups: Sequence[Group], known: dict[str, dict[str, Kernel]]) -> Iterator[Group]:
    """Every group needs its baseline measured beside the others, asked for or not."""
    for group in groups:
        baseline = FALLBACK_BASELINES[group.problem.op] if _missing(group, known) else group.baseline
        names = group.kernels if baseline in group.kernels else (baseline, *group.kernels)
        yield replace(group, baseline=baseline, kernels=names)


def describe(plan: RunPlan, argv: Sequence[str]) -> dict[str, Any]:
    """All that ``run.json`` says at the start of a run."""
    return circumstances(plan.name, plan.suite_texts, plan.warnings, argv) | {
        "git_commit": _git_commit(),
        "kernels": {
            kernel.name: {"provider": kernel.provider, "version": kernel.version, "missing": kernel.missing}
            for named in plan.kernels.values()
            for kernel in named.values()
        },
        "settings": {
            "data": str(plan.settings.data) if plan.settings.data else None,
            "effort": asdict(plan.settings.effort),
            "time_limit": plan.settings.time_limit,
            "tune": plan.settings.tune,
        },
        "groups": [group.to_json() for group in plan.groups],
    }


def circumstances(
    name: str, suite_texts: Mapping[str, str], warnings: Sequence[str], argv: Sequence[str]
) -> dict[str, Any]:
    """Return what any measurement says of itself, and of this machine as it is now."""
    return {
        "name": name,
        "sparsebench": sparsebench.__version__,
        "argv": list(argv),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "suites": dict(suite_texts),
        "machine": machine.machine_key(),
        "conditions": {"before": machine.conditions()},
        "warnings": list(warnings),
    }


def _git_commit() -> str | None:
    """Return the commit that the kernels were built from, as the build recorded it."""
    build = machine.build_info()
    return build["commit"] if build else None


def remaining_plan(folder: RunFolder) -> RunPlan:
    """Plan of what an interrupted run has not finished, from its own ``run.json``.

    A group of which only some kernels were recorded is measured again as a whole: rounds cannot be joined.

    Raises
    ------
    InputError
        If the run was begun on another machine, with another build or other libraries, or knows kernels that are not
        here.
    """
    then, now = folder.run.get("machine"), json.loads(json.dumps(machine.machine_key()))
    if then != now:
        differing = ", ".join(name for name in now if not isinstance(then, dict) or then.get(name) != now[name])
        raise InputError(
            f"the run at '{folder.path}' was begun on another machine (other: {differing}): finish it there, or run"
            " again into another folder"
        )
    if changed := list(changed_since(folder.run)):
        raise InputError(
            f"the run at '{folder.path}' was begun with another {' and another '.join(changed)}: what is left would not"
            " be comparable; run again into another folder"
        )
    finished = folder.finished()
    groups = []
    for group in recorded_groups(folder):
        keys = {(group.suite, str(group.problem), name, group.threads, group.level) for name in group.kernels}
        if not keys <= finished:
            groups.append(group)
    plan = repeat_plan(folder, groups)
    unknown = {name for group in groups for name in group.kernels if name not in plan.kernels[group.problem.op]}
    if unknown:
        raise InputError(
            f"the run at '{folder.path}' has kernels that are not known here: {', '.join(sorted(unknown))}"
        )
    return plan


def changed_since(run: Mapping[str, Any]) -> Iterator[str]:
    """Name what is no longer as it was when a run was made, and would make its rounds others."""
    # As JSON, which is how the run keeps it.
    then, now = run["conditions"]["before"], json.loads(json.dumps(machine.conditions()))
    if machine.key_hash(run["machine"]) != machine.key_hash(machine.machine_key()):
        yield "machine"
    if then.get("build") != now["build"]:
        yield "build of the kernels"
    here = {kernel.name: kernel for named in all_kernels().values() for kernel in named.values()}
    planned = {name for group in run["groups"] for name in group["kernels"]}
    rivals = [(entry, here[name]) for name, entry in run.get("kernels", {}).items() if name in planned & here.keys()]
    if then["libraries"] != now["libraries"] or any(
        (entry["version"], bool(entry["missing"])) != (kernel.version, bool(kernel.missing)) for entry, kernel in rivals
    ):
        yield "set of library versions"


def recorded_groups(folder: RunFolder) -> list[Group]:
    """Return all groups that a run was to measure."""
    return [Group.from_json(entry) for entry in folder.run["groups"]]


def repeat_plan(folder: RunFolder, groups: Sequence[Group]) -> RunPlan:
    """Plan of groups, to be measured with the settings of a run."""
    record = folder.run
    level = groups[0].level if groups else isa.active()
    settings = Settings(
        data=Path(record["settings"]["data"]) if record["settings"]["data"] else None,
        cpus=tuple(machine.usable_cpus()),
        effort=Effort(**record["settings"]["effort"]),
        time_limit=record["settings"]["time_limit"],
        tune=record["settings"].get("tune", False),
    )
    return RunPlan(record["name"], tuple(groups), settings, all_kernels(level), record["suites"])


def execute(plan: RunPlan, folder: RunFolder, listener: Listener) -> Iterator[list[CaseResult]]:
    """Run the plan; each group's results are in the folder before they are yielded."""
    cpus = plan.settings.cpus[: max((group.threads for group in plan.groups), default=1)]
    with watching(folder, listener, cpus) as watch:
        with watch.stage("ceilings"):
            pairs = dict.fromkeys((group.level, group.threads) for group in plan.groups)
            ceilings = {pair: load_or_measure(*pair) for pair in pairs}
        told = {f"{level}, {threads} threads": asdict(found) for (level, threads), found in ceilings.items()}
        folder.update(ceilings=folder.run.get("ceilings", {}) | told)
        caches = machine.cache_sizes()
        measured = run_groups(plan.groups, plan.kernels, plan.settings, watch, watch.spent)
        for results in engine.beside(plan.groups, measured, engine.visit_of(folder, cpus, watch.stage)):
            for result in results:
                set_roof(result, plan.kernels[result.op][result.kernel], ceilings, caches)
            folder.append(results)
            yield results


def set_roof(
    result: CaseResult,
    kernel: Kernel,
    ceilings: dict[tuple[str, int], Ceilings],
    caches: dict[str, int | None],
) -> None:
    """Say what this machine would allow a case to take at best; ceilings are of float32 alone."""
    if kernel.dtype != "f32":
        return
    needed = work(result, dense=kernel.dense, skips_zeros=kernel.skips_zeros)
    if needed is None:
        return
    found = roof(needed.flops, needed.nbytes, ceilings[result.level, result.threads], caches, result.threads)
    result.roofline_s, result.bound = found.seconds, found.bound


def exit_code(results: Sequence[CaseResult]) -> int:
    """Exit code of a run: 3 for a wrong answer, 4 for a case that failed or where nothing was measured, else 0.

    A baseline alone does not count as something measured where there were other kernels to compare with it.
    """
    statuses = Counter(result.status for result in results)
    compared = [result for result in results if result.kernel != result.baseline] or results
    if statuses["wrong"]:
        return EXIT_WRONG
    if statuses["failed"] or statuses["timeout"] or not any(result.samples_s for result in compared):
        return EXIT_FAILED
    return EXIT_OK


def default_folder(name: str) -> Path:
    """``reports/<name>-<local time>``, below the current folder."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return Path("reports") / f"{name}-{stamp}"
