"""The result of one case: the one place that names a column of ``results.csv``."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from sparsebench.problem import columns

if TYPE_CHECKING:
    from sparsebench.kernel import Kernel
    from sparsebench.suite import Group

Status = Literal["ok", "wrong", "mistrusted", "failed", "timeout", "unavailable", "unsupported"]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(slots=True)
class CaseResult:
    """Problem x kernel x threads, measured or not; one line of ``cases.jsonl``.

    Attributes
    ----------
    group
        Cases with equal, non-empty `group` were measured in the same rounds of the same worker, so that the i-th
        samples of two of them may be divided.
    baseline
        Name of the kernel that speed-ups of the group are over.
    error
        What is wrong where `status` is not ok: a difference, an exception, the command that installs a library.
    samples_s
        Seconds per call, one value a round, in round order.
    inner
        Calls per sample.
    busy_threads
        CPU time over elapsed time of the samples: how many threads ran, spinning included; None where not measured.
    others_cpus
        How many of the CPUs measured on others took on average while the group was timed: other processes, and the
        hypervisor. None where the system does not tell.
    round_trip_s
        How long a cache line takes between the CPUs measured on, as `sparsebench.bench.distance` measures it: the
        longer of before and after the group was timed. None for one thread, and where it cannot be measured.
    selection_s
        What of the median is listing the non-zero activations, timed apart; None for kernels that list none.
    stopped_by
        Why rounds ended: "precise" (narrow intervals), "budget" (time was up), "rounds" (most rounds made); "" where
        nothing was measured.
    shape, pixels
        The problem without N, for tables; and the pixels of a convolution's output, for each of which W is used.
    max_rel_error
        Largest |y - reference| / sum |w||x| over the output; infinite where an output is not finite.
    roofline_s, bound
        The time below which no kernel of its kind can come on this machine, and what sets it: "compute", or the level
        of the memory hierarchy that holds the operands. See `sparsebench.bench.roofline`.
    macs, dense_macs
        Of a network: multiply-adds for one input, by the weights that are not zero and by all. Elsewhere None, as they
        follow from nnz, M, K and pixels.
    layers
        Of a network: where its time goes, the fields of a `sparsebench.nets.compile.StageReport` each.
    kept_l1, kept_l2
        Fractions of the L1 norm and of the squared L2 norm that pruning kept; None where nothing was pruned.
    """

    suite: str
    problem: str
    op: str
    pattern: str
    overlay: int | None
    lanes: int | None
    block: str | None
    weights: str
    density: float
    nnz: int | None
    act_density: float
    M: int
    K: int
    N: int
    kernel: str
    provider: str
    level: str
    threads: int
    cache: str
    timed_in: str
    status: Status
    group: str
    baseline: str
    error: str = ""
    detail: str = ""
    median_s: float | None = None
    ci_low_s: float | None = None
    ci_high_s: float | None = None
    rounds: int = 0
    inner: int = 0
    stopped_by: str = ""
    busy_threads: float | None = None
    others_cpus: float | None = None
    round_trip_s: float | None = None
    prepare_s: float | None = None
    selection_s: float | None = None
    packed_bytes: int | None = None
    max_rel_error: float | None = None
    layout: str = "row"
    arrangement: str | None = None
    shape: str = ""
    pixels: int = 1
    roofline_s: float | None = None
    bound: str = ""
    kept_l1: float | None = None
    kept_l2: float | None = None
    macs: int | None = None
    dense_macs: int | None = None
    layers: list[dict[str, Any]] = field(default_factory=list)
    samples_s: list[float] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        """Identity of the case within a run: suite, problem, kernel, threads, level."""
        return (self.suite, self.problem, self.kernel, self.threads, self.level)

    @property
    def label(self) -> str:
        """The case in words, for messages."""
        return f"{self.kernel} on {self.problem}, {self.threads} thread{'s' if self.threads != 1 else ''}"

    @property
    def measured(self) -> bool:
        """Whether the case has a time: a wrong answer never has, whatever was timed before it was found."""
        return self.status in ("ok", "mistrusted") and self.median_s is not None

    @property
    def gflops_useful(self) -> float | None:
        """2 nnz N (times a convolution's pixels) / time, in GFLOP/s: the multiplications that the pattern leaves."""
        if not self.measured or self.median_s is None or self.nnz is None:
            return None
        macs = self.nnz * self.pixels if self.macs is None else self.macs
        return 2e-9 * macs * self.N / self.median_s

    @property
    def gflops_dense(self) -> float | None:
        """2 M K N (times the pixels) / time, in GFLOP/s: what a dense kernel would need to be as fast."""
        if not self.measured or self.median_s is None:
            return None
        macs = self.M * self.K * self.pixels if self.dense_macs is None else self.dense_macs
        return 2e-9 * macs * self.N / self.median_s

    @property
    def time_per_column_s(self) -> float | None:
        """Seconds per call and column of X: flat where a kernel wastes nothing on its last vector."""
        return self.median_s / self.N if self.measured and self.median_s is not None else None

    @property
    def items_per_s(self) -> float | None:
        """Columns of X, samples or inputs of a network a second."""
        return self.N / self.median_s if self.measured and self.median_s is not None else None

    @property
    def roofline_fraction(self) -> float | None:
        """Share of the machine's ceiling that was reached: roofline_s / median_s."""
        if not self.measured or self.median_s is None or self.roofline_s is None:
            return None
        return self.roofline_s / self.median_s

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON types; JSON has no infinity, so an infinite error becomes a string."""
        record = asdict(self)
        if self.max_rel_error is not None and not math.isfinite(self.max_rel_error):
            record["max_rel_error"] = str(self.max_rel_error)
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> CaseResult:
        """Read a record; keys that only a newer minor version knows are ignored.

        Raises
        ------
        ValueError
            If a key is missing, the status is not one of `STATUSES`, a number is NaN or none at all, or a time is not
            positive.
        """
        known = {f.name for f in fields(cls)}
        missing = _REQUIRED - record.keys()
        if missing:
            raise ValueError(f"the record lacks {', '.join(sorted(missing))}")
        result = cls(**{name: value for name, value in record.items() if name in known})
        if isinstance(result.max_rel_error, str):
            result.max_rel_error = float(result.max_rel_error)
        if wrong := result._what_is_wrong():
            raise ValueError(f"{result.label}: {wrong}")
        return result

    def _what_is_wrong(self) -> str:
        """Say which value is of a wrong kind or out of its range; "" for none."""
        if self.status not in STATUSES:
            return f"status '{self.status}' is not one of {', '.join(STATUSES)}"
        for name in _TEXTS:
            if not isinstance(getattr(self, name), str):
                return f"{name} is {getattr(self, name)!r}, not a text"
        for name, optional in _NUMBERS.items():
            value = getattr(self, name)
            if not (
                _is_number(value) or (optional and value is None) or (name == "max_rel_error" and value == math.inf)
            ):
                return f"{name} is {value!r}, not a number"
        for name in ("median_s", "ci_low_s", "ci_high_s"):
            if (value := getattr(self, name)) is not None and value <= 0:
                return f"{name} is {value!r}, which is no time"
        if not isinstance(self.samples_s, list):
            return "samples_s is no list"
        for sample in self.samples_s:
            if not _is_number(sample) or sample <= 0:
                return f"samples_s holds {sample!r}, which is no time"
        return ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def blank_result(group: Group, kernel: Kernel, status: Status, error: str = "", group_id: str = "") -> CaseResult:
    """Return the record of a case that is not measured yet, or never will be; `group_id` is that of its rounds."""
    return CaseResult(
        suite=group.suite,
        problem=str(group.problem),
        nnz=None,
        kernel=kernel.name,
        provider=kernel.provider,
        level=kernel.level or group.level,
        threads=group.threads,
        timed_in=kernel.timed_in,
        status=status,
        group=group_id,
        baseline=group.baseline,
        error=error,
        **columns(group.problem),
    )


_REQUIRED = frozenset(list(CaseResult.__dataclass_fields__)[:23])
# By their annotations, which are texts in this module.
_TEXTS = tuple(f.name for f in fields(CaseResult) if f.type == "str")
_NUMBERS = {
    f.name: str(f.type).endswith("| None") for f in fields(CaseResult) if str(f.type).split(" ")[0] in ("int", "float")
}

# Order of the columns in results.csv.
COLUMNS = (
    "suite", "problem", "op", "shape", "pattern", "overlay", "lanes", "arrangement", "block", "weights", "density",
    "nnz", "act_density", "M", "K", "N", "pixels", "kernel", "provider", "level", "threads", "cache", "layout",
    "timed_in", "status", "error", "detail", "median_s", "ci_low_s", "ci_high_s", "rounds", "inner", "stopped_by",
    "busy_threads", "others_cpus", "round_trip_s", "remarks", "prepare_s", "selection_s", "packed_bytes",
    "time_per_column_s", "items_per_s", "gflops_useful", "gflops_dense", "baseline", "speedup", "speedup_ci_low",
    "speedup_ci_high", "roofline_s", "roofline_fraction", "bound", "max_rel_error", "kept_l1", "kept_l2", "group",
    "layers",
)  # fmt: skip
