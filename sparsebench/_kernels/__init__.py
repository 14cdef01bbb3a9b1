"""Compiled modules: ``<kernel>__<level>`` and the infrastructure, all built from ``pyx/``."""
