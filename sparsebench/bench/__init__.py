"""Measuring: what to run, in which process, in which rounds, and whether the answers are right."""
