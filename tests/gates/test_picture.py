"""The picture of a report."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from genops_lab.gates import plan
from genops_lab.gates.evidence import Evidence
from genops_lab.gates.judging import judge
from genops_lab.gates.models import GateReport, RuleVerdict
from genops_lab.gates.picture import MOST_ROWS, picture

from .made import demo

SVG = "{http://www.w3.org/2000/svg}"


def report(*rules: RuleVerdict) -> GateReport:
    return GateReport(model="digits", version="2", verdict="fail", headline="Fail.", rules=list(rules))


def test_each_rule_and_group_is_drawn_with_its_interval_and_what_is_asked() -> None:
    one, other = demo()
    both = Evidence(candidate=one, champion=other)
    rules = [
        judge(rule, both)
        for rule in (
            plan.Better(metric="accuracy", margin=0.01),
            plan.WorseForNobody(metric="accuracy", group="group", margin=0.02),
            plan.Bound(metric="log_loss", at_most=1),
        )
    ]
    root = ET.fromstring(picture(report(*rules)))
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert texts[0] == "Gates of digits version 2: Fail"
    assert texts[1:3] == ["better: accuracy", "0.8 (0.1 to 1.6) points, asked 1"]
    assert texts[3] == "worse for nobody: accuracy by group, A" and len(texts) == 8  # nothing for log loss
    circles = list(root.iter(f"{SVG}circle"))
    assert [each.get("class") for each in circles] == ["fail", "pass", "fail"]
    bars = [each for each in root.iter(f"{SVG}line") if "interval" in each.get("class", "")]
    bounds = [each for each in root.iter(f"{SVG}line") if each.get("class") == "bound"]
    for bar, bound, circle, passed in zip(bars, bounds, circles, (False, True, False), strict=True):
        low, high, at = (float(each or 0) for each in (bar.get("x1"), bar.get("x2"), bound.get("x1")))
        assert low < float(circle.get("cx") or 0) < high
        assert (at < low) is passed  # the interval excludes the bound where the rule holds


def test_a_picture_has_no_markup_of_names_and_no_end() -> None:
    rule = RuleVerdict(
        name="<script>\x00alert</script>" * 9, rule="bound", verdict="pass", clause="", estimate=1.0, low=0.5
    )
    text = picture(report(*[rule] * 200))
    root = ET.fromstring(text)
    assert "<script" not in text and len(list(root.iter(f"{SVG}circle"))) == MOST_ROWS
    assert "(0.5 to ∞)" in text
    assert picture(report(RuleVerdict(name="size", rule="size", verdict="pass", clause=""))) == ""
    flat = replace_estimate(rule)
    assert ET.fromstring(picture(report(flat))) is not None


def replace_estimate(rule: RuleVerdict) -> RuleVerdict:
    """A rule whose numbers are all 0."""
    from msgspec.structs import replace as changed

    return changed(rule, estimate=0.0, low=0.0, high=0.0, bound=0.0)
