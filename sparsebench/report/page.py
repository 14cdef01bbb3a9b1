"""Pages: files that ask for nothing else, made from the templates beside this module."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sparsebench import __version__


def render(template: str, **values: Any) -> str:
    """Return a page as HTML; text in `values` stays text, and a value that the template lacks is an error."""
    environment = Environment(
        loader=PackageLoader("sparsebench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(version=__version__, **values)
