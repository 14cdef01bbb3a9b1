"""A folder tree of .smtx files, such as a copy of the Deep Learning Matrix Collection."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sparsebench.errors import InputError
from sparsebench.weights import smtx
from sparsebench.weights.address import Source
from sparsebench.weights.matrix import Matrix, MatrixRef


def expand(source: Source) -> list[MatrixRef]:
    """List every .smtx below the folder, sorted by path; named by file, and by path where files are called alike.

    Raises
    ------
    InputError
        If there is none, or the first line of one is malformed.
    """
    files = _files(source)
    stems = [path.stem for path in files]
    alike = len(set(stems)) < len(stems)
    refs = []
    for path in files:
        inside = path.relative_to(source.path)
        base = source.location if source.location.endswith((":", "/")) else f"{source.location}/"
        (ref,) = smtx.expand(replace(source, location=f"{base}{inside.as_posix()}", path=path))
        refs.append(replace(ref, name=inside.with_suffix("").as_posix()) if alike else ref)
    return refs


def read(source: Source, seed: int) -> Matrix:
    """Refuse: a folder is not one matrix.

    Raises
    ------
    InputError
        Always, with how many there are.
    """
    files = _files(source)
    raise InputError(
        f"weights '{source.address}' are a folder of {len(files)} .smtx files; name one, for example"
        f" '{files[0].relative_to(source.path).as_posix()}'"
    )


def _files(source: Source) -> list[Path]:
    files = sorted(path for path in source.path.rglob("*.smtx") if path.is_file())
    if not files:
        raise InputError(f"weights '{source.address}': no .smtx file below '{source.path}'")
    return files
