"""The child process of one side of ``sparsebench ab``: prepares, and takes one sample at a time, as it is told.

Run as ``python -m sparsebench.bench.ab_worker`` by `sparsebench.bench.ab`, which may be of another commit. After a line
with ``threads``, ``level``, ``cpus`` and ``data`` it sends one JSON line per event, each of which is answered by the
next command; both sides of the exchange ignore keys that they do not know.

======================================================== ===========================================================
event, what it tells                                     answered by
======================================================== ===========================================================
``ready``: ``root`` of the code, ``kernels`` by op       ``prepare``: ``problem``, ``kernels``
``prepared``, ``finished``: ``results`` of each kernel   ``calibrate``: ``kernel``, ``sample_s``
``refused``: ``message``; the problem cannot be made     ``sample``: ``kernel``, ``inner``, ``warm_up``
``calibrated``: ``inner``, calls that make a sample      ``finish``: check what timed calls left
``sampled``: ``seconds``, of all its calls together      ``leave``
``left``: ``libraries`` that were really loaded
======================================================== ===========================================================
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsebench.bench.link import Link, Page, die_with_parent
from sparsebench.bench.worker import GroupRun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sparsebench.bench.remote import Satellites
    from sparsebench.kernel import Kernel
    from sparsebench.results import CaseResult

# Changes whenever a worker and a parent that differ in it would misunderstand each other. `checkout` reads this line
# from other commits.
PROTOCOL = 1

Message = dict[str, Any]


def _told(results: Iterable[CaseResult]) -> list[Message]:
    return [
        {"kernel": result.kernel, "status": result.status, "error": result.error, "detail": result.detail}
        for result in results
    ]


class Side:
    """Answers commands about one problem at a time."""

    def __init__(
        self, job: Message, known: dict[str, dict[str, Kernel]], page: Page, link: Link, satellites: Satellites
    ) -> None:
        self._job = job
        self._satellites = satellites
        self._known = known
        self._page = page
        self._link = link
        self._run: GroupRun

        from sparsebench.bench.usage import Others
        from sparsebench.operands import LastWeights

        self._weights, self._others = LastWeights(), Others(own=satellites.cpu_seconds)

    def answer(self, command: Message) -> Message:
        """Carry out a command, and return the event that says what came of it."""
        event: Message = getattr(self, f"_{command['do']}")(command)
        return event

    def _prepare(self, command: Message) -> Message:
        from sparsebench.errors import InputError
        from sparsebench.problem import Problem
        from sparsebench.suite import Group

        self._page.write("operands")
        kernels = tuple(command["kernels"])
        data = Path(self._job["data"]) if self._job["data"] else None
        try:
            group = Group(
                "ab", Problem.parse(command["problem"]), kernels, self._job["threads"], self._job["level"], kernels[0]
            )
            self._run = GroupRun(
                group, data, self._weights, self._known, self._others, self._page, self._link, self._satellites
            )
            self._run.prepare()
        except InputError as error:
            return {"event": "refused", "message": str(error)}
        self._timers = {contender.name: contender.timer for contender in self._run.contenders()}
        self._page.write("idle")
        return {"event": "prepared", "results": _told(self._run.results.values())}

    def _calibrate(self, command: Message) -> Message:
        from sparsebench.bench.sampler import calibrate

        self._page.write("measure", command["kernel"])
        return {"event": "calibrated", "inner": calibrate(self._timers[command["kernel"]], command["sample_s"])}

    def _sample(self, command: Message) -> Message:
        self._page.write("measure", command["kernel"])
        seconds = self._timers[command["kernel"]].seconds(command["inner"], command["warm_up"])
        return {"event": "sampled", "seconds": seconds}

    def _finish(self, command: Message) -> Message:
        results = self._run.finish()
        del self._run, self._timers
        gc.collect()
        return {"event": "finished", "results": _told(results)}


def main(receive_fd: int, send_fd: int, page_fd: int) -> None:
    """Answer commands until the one that says to leave."""
    die_with_parent()
    link = Link(os.fdopen(receive_fd, encoding="utf-8"), os.fdopen(send_fd, "w", encoding="utf-8"))
    page = Page(page_fd)
    page.write("start")
    job = link.job()
    if hasattr(os, "sched_setaffinity") and job["cpus"]:
        # Before any library starts threads: they inherit it.
        os.sched_setaffinity(0, job["cpus"])

    from sparsebench.bench.machine import loaded_libraries
    from sparsebench.bench.remote import Satellites
    from sparsebench.errors import InputError, UnavailableError
    from sparsebench.registry import all_kernels

    try:
        known = all_kernels(job["level"])
    except (InputError, UnavailableError) as error:
        link.send({"event": "refused", "message": str(error)})
        return
    # No collection may fall into a sample.
    gc.disable()
    page.write("idle")
    event: Message = {
        "event": "ready",
        "root": str(Path(__file__).parents[2]),
        "kernels": {op: {kernel.name: kernel.provider for kernel in named.values()} for op, named in known.items()},
    }
    with Satellites() as satellites:
        side = Side(job, known, page, link, satellites)
        while (command := json.loads(link.send(event)))["do"] != "leave":
            event = side.answer(command)
        libraries = loaded_libraries() | {"satellites": satellites.leave()}
    link.send({"event": "left", "libraries": libraries})


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:4]))
