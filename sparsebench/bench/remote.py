"""Plans that live in a process of their own, so that each library runs on its own threads alone.

A worker starts one process (`sparsebench.bench.satellite`) for each `Kernel.runtime` when the first kernel of that name
is prepared, and keeps it. It is timed there, in turn with all others: a sample is one message.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsebench.bench.handover import as_bytes, give, take
from sparsebench.bench.usage import cpu_clock
from sparsebench.kernel import Matrix
from sparsebench.layouts import Layout

if TYPE_CHECKING:
    from sparsebench.kernel import Kernel
    from sparsebench.problem import Problem

Message = dict[str, Any]


class RemoteError(RuntimeError):
    """A kernel raised in its process; the message is that of its exception, with the name of its type."""


class DeadError(SystemExit):
    """A process has died; unless it is no longer needed, its worker ends."""


class Satellite:
    """One process, and what this one has handed to it."""

    def __init__(self, runtime: str) -> None:
        from sparsebench.bench.pool import module_command

        self.runtime = runtime
        command_read, command_write = os.pipe()
        event_read, event_write = os.pipe()
        self._channel, theirs = socket.socketpair()
        fds = (command_read, event_write, theirs.fileno())
        self._process = subprocess.Popen(
            module_command("sparsebench.bench.satellite", *map(str, fds)), pass_fds=fds, stdin=subprocess.DEVNULL
        )
        for fd in fds[:2]:
            os.close(fd)
        theirs.close()
        # Unbuffered: closing must not write to a process that has died.
        self._send = FileIO(command_write, "w")
        self._receive = os.fdopen(event_read, encoding="utf-8")
        self._clock = cpu_clock(self._process.pid)
        self._weights: Any = None
        # By id, with the array itself: as long as it lives, no other has its id.
        self._arrays: dict[int, Matrix] = {}
        self._event()

    def cpu_seconds(self) -> float:
        """CPU seconds of the process since its start."""
        return time.clock_gettime(self._clock)

    def ask(self, do: str, parts: Sequence[np.ndarray[Any, np.dtype[np.uint8]]] = (), **command: Any) -> Message:
        """Send a command, with parts to be handed over, and return the event that answers it.

        Raises
        ------
        RemoteError
            If the kernel raises there.
        DeadError
            If the process has died: plans of other kernels died with it, so this one cannot go on either. Its parent
            knows which kernel was in progress, and measures the others again.
        """
        try:
            if parts:
                command["lengths"] = give(self._channel, parts)
            self._send.write(f"{json.dumps({'do': do} | command)}\n".encode())
        except (BrokenPipeError, ConnectionError):
            self._died()
        event = self._event()
        if event["event"] == "raised":
            raise RemoteError(event["error"])
        return event

    def _event(self) -> Message:
        line = self._receive.readline()
        if not line.endswith("\n"):
            self._died()
        event: Message = json.loads(line)
        return event

    def _died(self) -> None:
        code = self._process.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise DeadError(f"the process of '{self.runtime}' died ({how})")

    def prepare(
        self, kernel: Kernel, problem: Problem, weights: Any, threads: int, *, apart: bool = False
    ) -> RemotePlan:
        """Have a kernel prepare; its weights are handed over unless they are those of the last one.

        `apart` on a copy of them there.
        """
        if weights is not self._weights:
            buffers: list[pickle.PickleBuffer] = []
            pickled = pickle.dumps(weights, protocol=5, buffer_callback=buffers.append)
            raw = [memoryview(pickled), *(buffer.raw() for buffer in buffers)]
            self.ask("take_weights", [np.frombuffer(part, np.uint8) for part in raw])
            self._weights = weights
        said = self.ask(
            "prepare",
            module=kernel.module,
            op=kernel.op,
            kernel=kernel.name,
            problem=str(problem),
            threads=threads,
            apart=apart,
        )
        return RemotePlan(self, said["plan"], said["layout"], said["packed_bytes"], said["detail"], said["seconds"])

    def hand_over(self, array: Matrix, again: bool = False) -> int:
        """Return the key of an array that the process has, after handing it over if it is new; or what it now holds."""
        key = id(array)
        if again or key not in self._arrays:
            self.ask("array", [as_bytes(array)], key=key, shape=array.shape)
            self._arrays[key] = array
        return key

    def collect(self, plan: int, out: Matrix) -> None:
        """Copy what a plan has left in its output to the array of this process."""
        event = self.ask("collect", plan=plan, out=id(out))
        (taken,) = take(self._channel, event["lengths"])
        np.copyto(as_bytes(out), taken)

    def forget(self) -> None:
        """Have the process drop plans and arrays."""
        self._weights = None
        self._arrays.clear()
        self.ask("forget")

    def leave(self) -> Message:
        """End the process, and return which libraries it had loaded."""
        libraries: Message = self.ask("leave")["libraries"]
        self.end()
        return libraries

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._channel.close()
        self._send.close()
        self._receive.close()


@dataclass(eq=False, slots=True)
class RemotePlan:
    """A `sparsebench.kernel.Plan` in another process, where it has its own copies of the operands."""

    satellite: Satellite
    number: int
    layout: Layout
    packed_bytes: int
    detail: str
    prepare_s: float
    entry: int = 0
    context: int = 0
    _out: Matrix | None = None
    _keys: tuple[int, int] = (0, 0)

    def bind(self, x: Matrix, out: Matrix) -> None:
        """Fix the operands: x as it was when first seen, and what `out` now holds."""
        self._out = out
        self._keys = self.satellite.hand_over(x), self.satellite.hand_over(out, again=True)
        self._bind()

    def _bind(self) -> None:
        x, out = self._keys
        self.satellite.ask("bind", plan=self.number, x=x, out=out)

    def call(self) -> None:
        """Compute on the bound operands."""
        RemoteTimer([self]).seconds(1)

    def spoil(self) -> None:
        """Hand over what the bound `out` holds by now: poison, say; what a plan keeps in its place is made anew."""
        if self._out is not None:
            self.satellite.hand_over(self._out, again=True)
            self._bind()

    def collect(self) -> None:
        """Put the last call's result where `bind` said."""
        if self._out is not None:
            self.satellite.collect(self.number, self._out)

    def run(self, x: Matrix, out: Matrix) -> None:
        """Bind, call and collect."""
        self.bind(x, out)
        self.call()
        self.collect()


class RemoteTimer:
    """Times plans in their process, natively where they can be called so."""

    def __init__(self, plans: Sequence[RemotePlan]) -> None:
        self._satellite = plans[0].satellite
        self._numbers = [plan.number for plan in plans]

    def seconds(self, calls: int, warm_up: int = 0) -> float:
        """Seconds that `calls` calls take together, after `warm_up` calls that are not counted."""
        event = self._satellite.ask("time", plans=self._numbers, calls=calls, warm_up=warm_up)
        return float(event["seconds"])


class Satellites:
    """The processes that a worker has started, by runtime; they end with the context."""

    def __init__(self) -> None:
        self._started: dict[str, Satellite] = {}

    def __enter__(self) -> Satellites:
        return self

    def __exit__(self, *_: object) -> None:
        for satellite in self._started.values():
            with suppress(OSError):
                satellite.end()
        self._started.clear()

    def prepare(
        self, kernel: Kernel, problem: Problem, weights: Any, threads: int, *, apart: bool = False
    ) -> RemotePlan:
        """Prepare a kernel in the process of its runtime, which is started if it is the first."""
        if kernel.runtime not in self._started:
            self._started[kernel.runtime] = Satellite(kernel.runtime)
        return self._started[kernel.runtime].prepare(kernel, problem, weights, threads, apart=apart)

    def cpu_seconds(self) -> float:
        """CPU seconds of this process and of those that it has started."""
        return time.process_time() + sum(satellite.cpu_seconds() for satellite in self._started.values())

    def forget(self) -> None:
        """Have all processes drop plans and arrays; one that dies of it has done its work, and is started anew."""
        for runtime, satellite in list(self._started.items()):
            try:
                satellite.forget()
            except DeadError:
                del self._started[runtime]
                satellite.end()

    def leave(self) -> dict[str, Message]:
        """End all processes, and return which libraries each had loaded, by runtime; of one that dies nothing."""
        libraries = {}
        for runtime, satellite in self._started.items():
            with suppress(DeadError):
                libraries[runtime] = satellite.leave()
        self.__exit__()
        return libraries
