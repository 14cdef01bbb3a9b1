"""Build: every pyx/<kernel>.pyx once per ISA level, every pyx/_<infrastructure>.pyx once.

The rest of the packaging is in pyproject.toml.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import Cython
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

PACKAGE = "sparsebench._kernels"

# level -> the flags that make it. gcc uses 512-bit vectors for x86-64-v4 only when told the width.
LEVELS = {
    "x86_64": {
        "v2": ["-march=x86-64-v2"],
        "v3": ["-march=x86-64-v3"],
        "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
    },
    "aarch64": {"generic": ["-march=armv8-a"]},
}
MACHINE = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
if MACHINE not in LEVELS:
    sys.exit(f"sparsebench builds on {' and '.join(LEVELS)}; this machine is {MACHINE}")
if os.environ.get("SPARSEBENCH_NATIVE") == "1":
    LEVELS[MACHINE]["native"] = (
        ["-march=native", "-mprefer-vector-width=512"] if MACHINE == "x86_64" else ["-mcpu=native"]
    )
# 'sparsebench ab' builds only the level that it measures.
if asked := os.environ.get("SPARSEBENCH_LEVELS"):
    if unknown := set(asked.split(",")) - LEVELS[MACHINE].keys():
        sys.exit(f"SPARSEBENCH_LEVELS: {', '.join(sorted(unknown))}: levels are {', '.join(LEVELS[MACHINE])}")
    LEVELS[MACHINE] = {level: flags for level, flags in LEVELS[MACHINE].items() if level in asked.split(",")}

DEBUG = os.environ.get("SPARSEBENCH_DEBUG") == "1"
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": DEBUG,
    "initializedcheck": DEBUG,
    "cdivision": not DEBUG,
    "embedsignature": True,
    "freethreading_compatible": False,
}
# -g0: debug information is ten times the code. -fno-math-errno lets sqrt and the like be instructions; nothing here
# reorders floating-point sums beyond what the source says.
COMPILE = [
    "-O3",
    "-fopenmp",
    "-fno-math-errno",
    "-fvisibility=hidden",
    "-Wno-unused-function",
    "-Wno-maybe-uninitialized",
    "-g" if DEBUG else "-g0",
]
LINK = ["-fopenmp", *([] if DEBUG else ["-Wl,-s"])]
JOBS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def said(*command: str) -> str:
    """First line of what a command prints; empty where it is absent or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout else ""


def extension(name: str, source: Path, flags: list[str]) -> Extension:
    return Extension(
        f"{PACKAGE}.{name}",
        [str(source)],
        include_dirs=["pyx"],
        depends=[str(p) for pattern in ("*.h", "*.pxi") for p in sorted(Path("pyx").glob(pattern))],
        extra_compile_args=[*COMPILE, *flags],
        extra_link_args=LINK,
    )


def extensions() -> list[Extension]:
    """One cythonize call a level, each with its own build folder: the same source twice in one call fails."""
    infrastructure = [extension(p.stem, p, []) for p in sorted(Path("pyx").glob("_*.pyx"))]
    modules = cythonize(
        infrastructure, build_dir="build/cython/base", nthreads=JOBS, compiler_directives=DIRECTIVES, quiet=True
    )
    for level, flags in LEVELS[MACHINE].items():
        kernels = [extension(f"{p.stem}__{level}", p, flags) for p in sorted(Path("pyx").glob("[!_]*.pyx"))]
        modules += cythonize(
            kernels, build_dir=f"build/cython/{level}", nthreads=JOBS, compiler_directives=DIRECTIVES, quiet=True
        )
    return modules


class Build(build_ext):
    """Compiles in parallel, and records with what."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or JOBS

    def run(self) -> None:
        super().run()
        compiler = os.environ.get("CC", "cc")
        target = Path(self.get_ext_fullpath(f"{PACKAGE}._build_info")).parent / "_build_info.py"
        target.write_text(
            '"""Written by setup.py: what the kernels were compiled with."""\n\n'
            f"COMPILER = {said(*compiler.split(), '--version') or compiler!r}\n"
            f"CYTHON = {Cython.__version__!r}\n"
            f"FLAGS = {COMPILE!r}\n"
            f"LEVELS = {LEVELS[MACHINE]!r}\n"
            f"COMMIT = {said('git', 'describe', '--always', '--dirty', '--abbrev=40')!r}\n",
            encoding="utf-8",
        )


class WithSuites(build_py):
    """Puts the top-level suites into the package as data: they travel in the wheel."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "sparsebench" / "_suites"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree("suites", target, dirs_exist_ok=True)


setup(ext_modules=extensions(), cmdclass={"build_ext": Build, "build_py": WithSuites})
