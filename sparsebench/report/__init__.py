"""Renderers of finished runs: one file per format, each with ``render(report, stream, width)``; none of them measures."""

from __future__ import annotations

FORMATS = ("console", "csv", "markdown")
