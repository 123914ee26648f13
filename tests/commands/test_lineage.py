"""``genops lineage`` beside a running Lab."""

from __future__ import annotations

from tests.support.rooms import Logged

from .conftest import RunningLab


def test_lineage_is_shown_as_a_tree_and_as_json(lab: RunningLab, digits: Logged) -> None:
    registered = lab.call("models", "register", "traced", "--run", digits.run_id, "--alias", "champion")
    assert registered.code == 0, registered.err
    shown = lab.call("lineage", "show", f"run:{digits.run_id[:10]}")
    assert shown.code == 0 and "└─ logged traced version 1: champion" in shown.out, shown.err
    up = lab.call("lineage", "show", "model:traced@champion", "--up", "--json").json
    assert [(edge["start"], edge["end"]) for edge in up["edges"]] == [
        (f"run:{digits.run_id}", "model:traced@1")
    ]
    wrong = lab.call("lineage", "show", "model:tracd@1")
    assert wrong.code == 3 and "Did you mean traced?" in wrong.err
    for arguments in (("traced",), ("run:latest", "--up", "--down"), ("run:latest", "--limit", "0")):
        assert lab.call("lineage", "show", *arguments).code == 2, arguments
