"""The result of one case: the one place that names a column of ``results.csv``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

Status = Literal["ok", "wrong", "mistrusted", "failed", "timeout", "unavailable", "unsupported"]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(slots=True)
class CaseResult:
    """Problem x kernel x threads, measured or not; one line of ``cases.jsonl``.

    Attributes
    ----------
    group
        Cases with equal `group` were measured in the same rounds of the same worker, so that the
        i-th samples of two of them may be divided.
    samples_s
        Seconds per call, one value a round, in round order.
    inner
        Calls per sample.
    ratios
        Whether rounds ended because intervals were narrow ("precise") or time was up ("time").
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
    prepare_s: float | None = None
    packed_bytes: int | None = None
    max_rel_error: float | None = None
    kept_l1: float | None = None
    kept_l2: float | None = None
    samples_s: list[float] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        """Identity of the case within a run: suite, problem, kernel, threads, level."""
        return (self.suite, self.problem, self.kernel, self.threads, self.level)

    @property
    def gflops_useful(self) -> float | None:
        """2 nnz N / time, in GFLOP/s: the multiplications that the pattern leaves."""
        if self.median_s is None or self.nnz is None:
            return None
        return 2e-9 * self.nnz * self.N / self.median_s

    @property
    def gflops_dense(self) -> float | None:
        """2 M K N / time, in GFLOP/s: what a dense kernel would need to be as fast."""
        if self.median_s is None:
            return None
        return 2e-9 * self.M * self.K * self.N / self.median_s

    def to_json(self) -> dict[str, Any]:
        """The record as JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> CaseResult:
        """Read a record; unknown keys of a newer minor version are ignored, missing ones raise KeyError."""
        known = {f.name for f in fields(cls)}
        missing = {f.name for f in fields(cls) if f.name in _REQUIRED} - record.keys()
        if missing:
            raise KeyError(f"record lacks {', '.join(sorted(missing))}")
        return cls(**{name: value for name, value in record.items() if name in known})


_REQUIRED = frozenset(list(CaseResult.__dataclass_fields__)[:23])

# Order of the columns in results.csv.
COLUMNS = (
    "suite", "problem", "op", "pattern", "overlay", "lanes", "block", "weights", "density", "nnz", "act_density",
    "M", "K", "N", "kernel", "provider", "level", "threads", "cache", "timed_in", "status", "error", "detail",
    "median_s", "ci_low_s", "ci_high_s", "rounds", "inner", "stopped_by", "prepare_s", "packed_bytes",
    "gflops_useful", "gflops_dense", "baseline", "speedup", "speedup_ci_low", "speedup_ci_high",
    "max_rel_error", "kept_l1", "kept_l2", "group",
)  # fmt: skip
