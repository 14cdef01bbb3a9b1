from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sparsebench import isa, registry
from sparsebench.errors import InputError, UnavailableError
from sparsebench.registry import BrokenKernelError

FIXED = {
    "dense", "csr", "block", "complementary",
    "mkl-dense", "mkl-csr", "mkl-bsr", "numpy-dense", "scipy-csr", "scipy-bsr",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    registry.kernels.cache_clear()
    yield
    registry.kernels.cache_clear()
    del registry.baselines.__path__[1:]


def test_the_names_that_suites_use() -> None:
    assert registry.kernels().keys() >= FIXED


@pytest.mark.parametrize("level", isa.available())
def test_every_level_has_our_kernels(level: str) -> None:
    ours = {(kernel.op, kernel.name): kernel.level for kernel in registry.compiled(level)}
    names = ["block", "complementary", "csr", "dense"]
    expected = [("matmul", "complementary-ss"), *((op, name) for op in ("matmul", "conv2d") for name in names)]
    assert ours == dict.fromkeys(expected, level)


def test_an_unavailable_level_is_refused() -> None:
    with pytest.raises(UnavailableError):
        registry.kernels("matmul", "v9")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import no_such_library_at_all", "extra_one does not import: ModuleNotFoundError"),
        ("1 / 0", "extra_one does not import: ZeroDivisionError"),
        ("KERNELS = None", "extra_one has no list KERNELS"),
        ("from sparsebench.baselines.numpy import KERNELS", "kernel 'numpy-dense' is defined twice"),
    ],
)
def test_a_broken_module_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, says: str) -> None:
    (tmp_path / "extra_one.py").write_text(source)
    monkeypatch.setenv(registry.baselines.PATH_VARIABLE, str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "sparsebench.baselines.extra_one", raising=False)
    with pytest.raises(BrokenKernelError, match=says):
        registry.kernels()


def test_a_folder_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.baselines.PATH_VARIABLE, "nowhere")
    with pytest.raises(InputError, match="'nowhere' is not a folder"):
        registry.kernels()
