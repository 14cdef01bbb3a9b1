"""What a kernel's name says of it in a finished run, whose kernels need not exist here any more.

Names are ``format`` or ``library-format``; `tests/test_charts.py` holds every registered kernel to them.
"""

from __future__ import annotations

# A convolution by way of a product, and what an engine makes of a layer or a network, is dense unless the name goes on.
_DENSE = ("dense", "im2col", "conv", "net", "compile")
_ALIASES = {"bsr": "block"} | dict.fromkeys(_DENSE, "dense")
_SKIPS_ZEROS = ("complementary-ss",)
# Of an engine that runs a network with weights that are not the network's; ours is called net-dense.
_OTHER_WEIGHTS = "-net-dense"


def is_dense(kernel: str) -> bool:
    """Whether it multiplies by every weight, zeros included."""
    return kernel.rpartition("-")[2] in _DENSE and "sparse" not in kernel


def in_float32(kernel: str) -> bool:
    """Whether it computes in float32, as ours do, and not in bfloat16."""
    return "bf16" not in kernel


def is_peer(kernel: str) -> bool:
    """Whether it computes what ours do: in float32, and with the same weights."""
    return in_float32(kernel) and not kernel.endswith(_OTHER_WEIGHTS)


def skips_zeros(kernel: str) -> bool:
    """Whether it reads and multiplies only what meets a non-zero activation."""
    return kernel in _SKIPS_ZEROS


def storage(kernel: str) -> str:
    """Return the format's name, the same for ours and for rivals': "csr" of "mkl-csr", "block" of "scipy-bsr"."""
    if kernel.startswith("net-sparse"):
        return kernel.removeprefix("net-")
    last = "sparse" if "-sparse" in kernel else kernel.rpartition("-")[2]
    return _ALIASES.get(last, last)
