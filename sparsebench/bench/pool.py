"""Runs groups of cases in worker processes, and turns a worker that dies or hangs into results."""

from __future__ import annotations

import json
import mmap
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from io import FileIO
from itertools import groupby
from pathlib import Path
from time import monotonic
from typing import IO, Any, Protocol

from sparsebench.bench.link import PAGE_BYTES, read_page
from sparsebench.bench.sampler import Effort
from sparsebench.errors import InputError
from sparsebench.kernel import Kernel
from sparsebench.results import CaseResult, Status, blank_result
from sparsebench.suite import Group

# Set by a user's shell for other reasons, they move threads or hold a library to less than this CPU can do.
_DROPPED = (
    "OMP_PROC_BIND", "OMP_PLACES", "OMP_THREAD_LIMIT", "GOMP_CPU_AFFINITY", "KMP_AFFINITY",
    "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "NPY_DISABLE_CPU_FEATURES", "NUMBA_DISABLE_JIT", "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
)  # fmt: skip
# How long idle threads of OpenMP (GNU's in iterations, Intel's in milliseconds) and OpenBLAS (2^n cycles) spin before
# they sleep: a millisecond at most. That bridges the gap between two calls of one kernel; by default they would spin
# for up to 200 ms, on the cores that the next kernel is timed on.
SPIN = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1", "OPENBLAS_THREAD_TIMEOUT": "20"}
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)

# Seconds by stage of the work.
Spent = defaultdict[str, float]


class Listener(Protocol):
    """Is told how a run goes; called only while nothing is being timed."""

    def group_started(self, group: Group) -> None:
        """Hear that the operands of a group are being made."""

    def measuring(self, group: Group, kernels: Sequence[str]) -> None:
        """Hear that all kernels are verified; rounds begin when this returns."""

    def worker_finished(self, threads: int, level: str, libraries: dict[str, Any]) -> None:
        """Hear that a worker has done its groups; `libraries` says what was really loaded in it."""


class WorkerError(RuntimeError):
    """A worker process cannot start; the message ends with what it printed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run.

    Attributes
    ----------
    data
        Folder for ``data:`` addresses.
    cpus
        CPUs to run on, one per core; a worker with T threads is held to the first T.
    tune
        Plans are tuned, see `sparsebench.tuning`.
    time_limit
        Seconds that one step (packing, checking or sampling one kernel) may take before the worker is killed.
    """

    data: Path | None = None
    cpus: tuple[int, ...] = ()
    effort: Effort = field(default_factory=Effort)
    time_limit: float = 120.0
    tune: bool = False


# The worker imports this sparsebench, whether installed or run from a checkout.
ROOT = Path(__file__).parents[2]


def worker_environment(threads: int, level: str, environ: Mapping[str, str], root: Path = ROOT) -> dict[str, str]:
    """Environment of a worker, set before it imports anything: thread counts, level, nothing that cripples a rival.

    `root` is the folder from which it imports sparsebench.
    """
    environment = {name: value for name, value in environ.items() if name not in _DROPPED}
    environment |= dict.fromkeys(_THREAD_VARIABLES, str(threads))
    environment |= SPIN
    environment |= {"OMP_DYNAMIC": "FALSE", "MKL_DYNAMIC": "FALSE", "SPARSEBENCH_ISA": level}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), environment.get("PYTHONPATH")]))
    return environment


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package, whatever the current folder holds.

    -P: in the top folder of a checkout, Python would otherwise import the sources there, which are not compiled.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def run_apart(module: str, arguments: Sequence[str], threads: int, level: str) -> Any:
    """Run ``python -m module`` in a worker's environment and return the JSON that it prints.

    Raises
    ------
    WorkerError
        If it fails; with the last line that it printed.
    """
    done = subprocess.run(
        module_command(module, *arguments),
        env=worker_environment(threads, level, os.environ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise WorkerError(f"{module} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return json.loads(done.stdout)


class Worker:
    """One child process and the three things shared with it: two pipes and a page."""

    def __init__(self, process: subprocess.Popen[bytes], page: mmap.mmap, send: FileIO, receive: IO[str]) -> None:
        self.process = process
        self.page = page
        self._send = send
        self._receive = receive
        self._started = monotonic()
        self.timed_out = False

    def tell(self, line: str) -> None:
        """Send one line; if the worker has died, the next event says so."""
        try:
            self._send.write(f"{line}\n".encode())
        except BrokenPipeError:
            return

    def event(self, time_limit: float) -> dict[str, Any] | None:
        """Return the next event; None once the process has ended, which it is made to do if a step takes too long."""
        while not select.select([self._receive], [], [], 0.5)[0]:
            when, _, _ = read_page(self.page)
            if when and monotonic() - when > time_limit:
                self.timed_out = True
                self.process.kill()
        line = self._receive.readline()
        if not line.endswith("\n"):
            self.process.wait()
            return None
        event: dict[str, Any] = json.loads(line)
        return event

    def seconds(self) -> float:
        """Seconds since the process was started."""
        return monotonic() - self._started


@contextmanager
def worker_process(
    threads: int, level: str, log: IO[bytes], root: Path = ROOT, module: str = "sparsebench.bench.worker"
) -> Iterator[Worker]:
    """Start a worker, which ends with the context however it is left; what it prints goes to `log`."""
    with tempfile.TemporaryFile() as shared:
        shared.truncate(PAGE_BYTES)
        page = mmap.mmap(shared.fileno(), PAGE_BYTES)
        job_read, job_write = os.pipe()
        event_read, event_write = os.pipe()
        process = subprocess.Popen(
            module_command(module, str(job_read), str(event_write), str(shared.fileno())),
            env=worker_environment(threads, level, os.environ, root),
            pass_fds=(job_read, event_write, shared.fileno()),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C is the parent's to handle.
            start_new_session=True,
        )
        os.close(job_read)
        os.close(event_write)
        # Unbuffered: closing must not write to a worker that has died.
        with FileIO(job_write, "w") as send, os.fdopen(event_read, encoding="utf-8") as receive:
            try:
                yield Worker(process, page, send, receive)
            finally:
                # With all that it has started: a compiler, say, would go on beside the next worker.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                page.close()


def last_line(log: IO[bytes]) -> str:
    """Return the last line that a worker has printed, shortened."""
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else ""


def cause_of_death(worker: Worker, time_limit: float, stage: str, said: str) -> tuple[Status, str]:
    """Say what became of the kernel in progress when a worker ended."""
    where = f" while in '{stage}'" if stage else ""
    if worker.timed_out:
        return "timeout", f"no end after {time_limit:g} s{where}"
    code = worker.process.returncode
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return "failed", f"the worker died ({how}){where}" + (f": {said}" if said else "")


def run_groups(
    groups: Sequence[Group],
    kernels: Mapping[str, Mapping[str, Kernel]],
    settings: Settings,
    listener: Listener,
    spent: Spent | None = None,
) -> Iterator[list[CaseResult]]:
    """Measure groups in order and yield the results of each as it finishes.

    A worker serves all adjacent groups of one thread count and level. If it crashes or hangs, the kernel in progress
    gets the status ``failed`` or ``timeout``, and the group is measured again without it. To `spent` are added seconds
    by stage: "start" of workers, "operands", "reference", "prepare", "verify", "measure", and "idle" in which a worker
    waits for this process.

    Raises
    ------
    InputError
        If the weights of a group are bad or too large; groups before it have been yielded.
    WorkerError
        If a worker dies before it has begun.
    """
    spent = defaultdict(float) if spent is None else spent
    for _, batch in groupby(groups, key=lambda group: (group.threads, group.level)):
        yield from _run_batch(list(batch), kernels, settings, listener, spent)


def _run_batch(
    pending: list[Group],
    kernels: Mapping[str, Mapping[str, Kernel]],
    settings: Settings,
    listener: Listener,
    spent: Spent,
) -> Iterator[list[CaseResult]]:
    threads, level = pending[0].threads, pending[0].level
    fallen: list[CaseResult] = []
    while pending:
        with tempfile.TemporaryFile() as log, worker_process(threads, level, log) as worker:
            worker.tell(json.dumps(_job(pending, settings, threads, level)))
            started = False
            while (event := worker.event(settings.time_limit)) is not None:
                if not started:
                    spent["start"] += worker.seconds()
                    started = True
                if event["event"] == "group":
                    listener.group_started(pending[0])
                elif event["event"] == "measuring":
                    listener.measuring(pending[0], event["kernels"])
                elif event["event"] == "results":
                    for stage, seconds in event["seconds"].items():
                        spent[stage] += seconds
                    yield [CaseResult.from_json(record) for record in event["results"]] + fallen
                    fallen = []
                    pending = pending[1:]
                elif event["event"] == "done":
                    listener.worker_finished(threads, level, event["libraries"])
                elif event["event"] == "input_error":
                    raise InputError(event["message"])
                worker.tell("go on")
            if not pending:
                return
            _, stage, kernel = read_page(worker.page)
            status, error = cause_of_death(worker, settings.time_limit, stage, last_line(log))
            if stage in ("", "start"):
                raise WorkerError(error)
        group = pending[0]
        if kernel:
            fallen.append(blank_result(group, kernels[group.problem.op][kernel], status, error))
            rest = tuple(name for name in group.kernels if name != kernel)
        else:
            fallen += [blank_result(group, kernels[group.problem.op][name], status, error) for name in group.kernels]
            rest = ()
        if rest:
            pending = [replace(group, kernels=rest), *pending[1:]]
        else:
            yield fallen
            fallen = []
            pending = pending[1:]


def _job(pending: Sequence[Group], settings: Settings, threads: int, level: str) -> dict[str, Any]:
    return {
        "level": level,
        "cpus": list(settings.cpus[:threads]) if threads <= len(settings.cpus) else [],
        "data": str(settings.data) if settings.data else "",
        "effort": asdict(settings.effort),
        "tune": settings.tune,
        "groups": [group.to_json() for group in pending],
    }
