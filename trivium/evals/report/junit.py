"""Gates as JUnit XML, which continuous integration shows: a test case for each gate and cell."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from trivium.evals.columns import label
from trivium.evals.gates import Verdict
from trivium.evals.report.terminal import interval
from trivium.evals.summary import CellScores, metrics

# What XML 1.0 cannot hold, not even escaped (section 2.2).
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(name: str, table: tuple[CellScores, ...], verdicts: Sequence[Verdict]) -> str:
    """A suite with a case for each verdict; means and failed records are its properties."""
    lost = sum(not one.passed for one in verdicts)
    attributes = {"name": _text(name), "tests": str(len(verdicts)), "failures": str(lost)}
    root = ET.Element("testsuites")
    suite = ET.SubElement(root, "testsuite", attributes)
    properties = ET.SubElement(suite, "properties")
    for cell in table:
        facts = {"records": f"{cell.records}", "failed": f"{cell.failed}"}
        facts |= {metric: interval(cell.score(metric)) for metric in metrics(table)}
        for key, value in facts.items():
            key = _text(f"{label(cell.cell)} {key}")
            ET.SubElement(properties, "property", {"name": key, "value": _text(value)})
    for one in verdicts:
        names = {"classname": _text(label(one.cell)), "name": _text(str(one.gate))}
        case = ET.SubElement(suite, "testcase", names)
        if not one.passed:
            ET.SubElement(case, "failure", {"message": _text(one.reason)})
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _text(value: str) -> str:
    return _FORBIDDEN.sub("\ufffd", value)
