"""Verdicts as JUnit XML: a test case for each threshold."""

from __future__ import annotations

import re
from typing import TextIO
from xml.etree import ElementTree

from sparsebench.report.verdicts.lines import Checked, lines

# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(checked: Checked, stream: TextIO) -> None:
    """Write one test suite: what falls short is a failure, what is broken an error, all else but a pass is skipped.

    With `Checked.strict` an undecided threshold is a failure.
    """
    kinds = {"falls short": "failure", "broken": "error", "skipped": "skipped"}
    kinds["undecided"] = "failure" if checked.strict else "skipped"
    found = lines(checked)
    counted = [kinds.get(line.verdict) for line in found]
    suite = ElementTree.Element(
        "testsuite",
        name="sparsebench check",
        tests=str(len(found)),
        failures=str(counted.count("failure")),
        errors=str(counted.count("error")),
        skipped=str(counted.count("skipped")),
    )
    for line, kind, outcome in zip(found, counted, checked.outcomes, strict=True):
        case = ElementTree.SubElement(
            suite, "testcase", classname=_clean(outcome.threshold.origin), name=_clean(line.claim)
        )
        if kind is not None:
            ElementTree.SubElement(case, kind, message=_clean(line.sentence), type=line.verdict)
        ElementTree.SubElement(case, "system-out").text = _clean("\n".join(filter(None, [line.sentence, line.repro])))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    stream.write("<?xml version='1.0' encoding='utf-8'?>\n")
    stream.write(ElementTree.tostring(root, encoding="unicode") + "\n")


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
