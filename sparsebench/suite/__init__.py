"""Suites: TOML files that say which problems to measure, with which kernels, on how many threads."""

from __future__ import annotations

from sparsebench.suite.expand import Group, expand, single
from sparsebench.suite.load import Loaded, find, load, shipped
from sparsebench.suite.schema import Suite, schema_text

__all__ = ["Group", "Loaded", "Suite", "expand", "find", "load", "schema_text", "shipped", "single"]
