"""What sparsity buys on this CPU: sparse kernels beside Intel MKL, SciPy and NumPy, honestly timed."""

from __future__ import annotations

__version__ = "0.1.0"
