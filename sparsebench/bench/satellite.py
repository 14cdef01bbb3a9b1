"""The process in which the kernels of one library with threads of its own are prepared and timed.

Run as ``python -m sparsebench.bench.satellite`` by `sparsebench.bench.remote`, with the environment and on the CPUs of
the worker that starts it. While others are timed it waits in a read. It imports the one module of `baselines` that it
serves, and through it the one library. Each line that it reads is a command, each line that it sends the event that
answers it; arrays are handed over as in `sparsebench.bench.handover`:

================================================================= ========================================
command                                                           answered by
================================================================= ========================================
``take_weights``: ``lengths`` of a pickle and its buffers         ``done``
``prepare``: ``module``, ``op``, ``kernel``, ``problem``,         ``prepared``: ``plan``, ``seconds``,
``threads``, ``apart``: on a copy of the weights                  ``layout``, ``packed_bytes``, ``detail``
``array``: ``key``, ``shape``, ``lengths``; new, or what it holds ``done``
``bind``: ``plan``, keys ``x`` and ``out``                        ``done``
``time``: ``plans``, ``calls``, ``warm_up``                       ``timed``: ``seconds``
``collect``: ``plan``, key ``out``                                ``collected``: ``lengths``
``forget``: plans, arrays, weights                                ``done``
``leave``                                                         ``left``: ``libraries``
================================================================= ========================================

What a kernel raises is answered by ``raised``: ``error``.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pickle
import socket
import sys
from functools import cache
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sparsebench.bench.link import Link, die_with_parent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sparsebench.bench.sampler import Clocked
    from sparsebench.kernel import Kernel, Plan

Message = dict[str, Any]


@cache
def _module(name: str, threads: int) -> ModuleType:
    """Import a module of `baselines`, and have it load its library: that is no part of preparing a kernel."""
    from sparsebench import baselines

    baselines.add_folders()
    module = importlib.import_module(name)
    if hasattr(module, "load"):
        module.load(threads)
    return module


def _kernel(module: ModuleType, op: str, name: str) -> Kernel:
    found: Kernel = next(kernel for kernel in module.KERNELS if (kernel.op, kernel.name) == (op, name))
    return found


class Satellite:
    """Answers commands about the kernels of one problem at a time."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._weights: Any = None
        self._plans: dict[int, Plan] = {}
        self._arrays: dict[int, NDArray[np.float32]] = {}
        self._timers: dict[tuple[int, ...], Clocked] = {}

    def answer(self, command: Message) -> Message:
        """Carry out a command, and return the event that says what came of it."""
        try:
            event: Message = getattr(self, f"_{command['do']}")(command) or {"event": "done"}
        except Exception as error:
            return {"event": "raised", "error": f"{type(error).__name__}: {error}"}
        return event

    def _take_weights(self, command: Message) -> None:
        from sparsebench.bench.handover import take

        pickled, *buffers = take(self._channel, command["lengths"])
        self._weights = pickle.loads(pickled.data, buffers=buffers)

    def _prepare(self, command: Message) -> Message:
        from sparsebench.problem import Problem

        module = _module(command["module"], command["threads"])
        kernel = _kernel(module, command["op"], command["kernel"])
        problem = Problem.parse(command["problem"])
        weights = self._weights.apart() if command["apart"] else self._weights
        start = perf_counter()
        plan = kernel.prepare(problem, weights, command["threads"])
        seconds = perf_counter() - start
        number = len(self._plans)
        self._plans[number] = plan
        return {
            "event": "prepared",
            "plan": number,
            "seconds": seconds,
            "layout": plan.layout,
            "packed_bytes": plan.packed_bytes,
            "detail": plan.detail,
        }

    def _array(self, command: Message) -> None:
        import numpy as np

        from sparsebench.bench.handover import as_bytes, take

        (taken,) = take(self._channel, command["lengths"])
        key = command["key"]
        if key in self._arrays:
            np.copyto(as_bytes(self._arrays[key]), taken)
        else:
            self._arrays[key] = taken.view(np.float32).reshape(command["shape"])

    def _bind(self, command: Message) -> None:
        self._plans[command["plan"]].bind(self._arrays[command["x"]], self._arrays[command["out"]])

    def _time(self, command: Message) -> Message:
        from sparsebench.bench.sampler import timer_for

        numbers = tuple(command["plans"])
        if numbers not in self._timers:
            self._timers[numbers] = timer_for([self._plans[number] for number in numbers])
        seconds = self._timers[numbers].seconds(command["calls"], command["warm_up"])
        return {"event": "timed", "seconds": seconds}

    def _collect(self, command: Message) -> Message:
        from sparsebench.bench.handover import as_bytes, give
        from sparsebench.kernel import PythonPlan

        plan = self._plans[command["plan"]]
        if isinstance(plan, PythonPlan):
            plan.collect()
        return {"event": "collected", "lengths": give(self._channel, [as_bytes(self._arrays[command["out"]])])}

    def _forget(self, command: Message) -> None:
        self._timers.clear()
        self._plans.clear()
        self._arrays.clear()
        self._weights = None
        gc.collect()


def main(receive_fd: int, send_fd: int, channel_fd: int) -> None:
    """Answer commands until the one that says to leave."""
    die_with_parent()
    link = Link(os.fdopen(receive_fd, encoding="utf-8"), os.fdopen(send_fd, "w", encoding="utf-8"))
    satellite = Satellite(socket.socket(fileno=channel_fd))
    # No collection may fall into a sample.
    gc.disable()
    event: Message = {"event": "ready"}
    while (command := json.loads(link.send(event)))["do"] != "leave":
        event = satellite.answer(command)
    from sparsebench.bench.machine import loaded_libraries

    link.send({"event": "left", "libraries": loaded_libraries()})


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:4]))
