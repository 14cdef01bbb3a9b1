"""Times a whole model in ONNX Runtime, in a process of its own, and says where its time goes.

`sparsebench.bench.engine` runs it as ``python -m sparsebench.bench.engine_worker REQUEST``; the request is JSON, and so
is what it prints.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

# What an input of each type is made of; indices into tables must exist, and 1 does in nearly any.
_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}
_ROUNDS = 21
_LEAST_ROUNDS = 5
_SAMPLE_S = 2e-3
_WARM_UP_S = 0.2
_PROFILED = 15


def make_inputs(asked: Sequence[Any], shapes: dict[str, list[int]]) -> dict[str, Any]:
    """Make an array for each input of a session: normal deviates for floats, ones for all else."""
    import numpy as np

    rng = np.random.default_rng(0)
    made = {}
    for entry in asked:
        if entry.type not in _TYPES:
            raise ValueError(f"input '{entry.name}' is {entry.type}; inputs can be made of {', '.join(_TYPES)}")
        dtype, shape = _TYPES[entry.type], shapes[entry.name]
        drawn = rng.standard_normal(shape, dtype=np.float32) if dtype.startswith("float") else np.ones(shape)
        made[entry.name] = drawn.astype(dtype)
    return made


def _session(request: dict[str, Any], profile: str = "") -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = request["threads"]
    options.inter_op_num_threads = 1
    # Its warnings are of no concern to a measurement; errors are raised.
    options.log_severity_level = 3
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    return onnxruntime.InferenceSession(request["model"], options, providers=["CPUExecutionProvider"])


def _time(session: Any, feed: dict[str, Any], seconds: float) -> list[float]:
    """Return seconds per inference, one value a round."""
    start = perf_counter()
    calls = 0
    while calls < 2 or perf_counter() - start < _WARM_UP_S:
        session.run(None, feed)
        calls += 1
    inner = max(1, round(_SAMPLE_S * calls / (perf_counter() - start)))
    samples: list[float] = []
    deadline = perf_counter() + seconds
    while len(samples) < _LEAST_ROUNDS or (len(samples) < _ROUNDS and perf_counter() < deadline):
        start = perf_counter()
        for _ in range(inner):
            session.run(None, feed)
        samples.append((perf_counter() - start) / inner)
    return samples


def _shapes(entries: Sequence[dict[str, list[int]]]) -> list[list[int]]:
    return [shape for entry in entries for shape in entry.values()]


def nodes_of(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each node of a profile: operator, name, shapes of its inputs and outputs, median seconds.

    Weights that the engine has packed for itself are not among the inputs.
    """
    found: dict[str, tuple[dict[str, Any], list[float]]] = {}
    for event in events:
        if event.get("cat") != "Node" or not event["name"].endswith("_kernel_time"):
            continue
        args = event["args"]
        node = {
            "name": event["name"].removesuffix("_kernel_time"),
            "operator": args["op_name"],
            "inputs": _shapes(args.get("input_type_shape", ())),
            "outputs": _shapes(args.get("output_type_shape", ())),
        }
        found.setdefault(node["name"], (node, []))[1].append(event["dur"] * 1e-6)
    return [node | {"seconds": statistics.median(times)} for node, times in found.values()]


def _profile(request: dict[str, Any], feed: dict[str, Any]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        session = _session(request, str(Path(folder) / "profile"))
        for _ in range(_PROFILED):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return nodes_of(events)


def main(text: str) -> None:
    """Measure as the request says and print {"version", "samples_s", "nodes"}."""
    request = json.loads(text)
    if hasattr(os, "sched_setaffinity") and request["cpus"]:
        # Before the library starts threads: they inherit it.
        os.sched_setaffinity(0, request["cpus"])
    import onnxruntime

    session = _session(request)
    feed = make_inputs(session.get_inputs(), request["inputs"])
    answer = {"version": onnxruntime.__version__, "samples_s": _time(session, feed, request["seconds"])}
    if request["profile"]:
        answer["nodes"] = _profile(request, feed)
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1])
