"""What a kernel's name says of it in a finished run, whose kernels need not exist here any more.

Names are ``format`` or ``library-format``; `tests/test_kernel_kinds.py` holds every registered kernel to them.
"""

from __future__ import annotations

# A convolution by way of a product is dense unless the name goes on; engines compute dense products, convolutions and
# networks unless theirs says otherwise.
_DENSE = ("dense", "im2col", "conv", "compile", "net")
_ALIASES = {"bsr": "block"} | dict.fromkeys(_DENSE, "dense")
_SKIPS_ZEROS = ("complementary-ss",)


def is_dense(kernel: str) -> bool:
    """Whether it multiplies by every weight, zeros included."""
    return kernel.rpartition("-")[2] in _DENSE and "sparse" not in kernel


def in_float32(kernel: str) -> bool:
    """Whether it computes in float32: what does not is shown, but is no rival of what does."""
    return kernel.rpartition("-")[2] != "bf16"


def skips_zeros(kernel: str) -> bool:
    """Whether it reads and multiplies only what meets a non-zero activation."""
    return kernel in _SKIPS_ZEROS


def storage(kernel: str) -> str:
    """Return the format's name, the same for ours and for rivals': "csr" of "mkl-csr", "block" of "scipy-bsr"."""
    if "sparse" in kernel:
        return kernel.removeprefix("net-")
    last = kernel.rpartition("-")[2]
    return _ALIASES.get(last, last)
