"""``genops models list --versions``: query, order, columns, JSON, mistakes."""

from __future__ import annotations

from tests.support.rooms import Logged

from .conftest import RunningLab


def test_versions_of_all_models_are_listed_and_queried(lab: RunningLab, digits: Logged) -> None:
    for name in ("versions-a", "versions-b"):
        assert lab.call("models", "register", name, "--run", digits.run_id).code == 0
    assert lab.call("models", "register", "versions-a", "--run", digits.run_id).code == 0
    assert lab.call("models", "alias", "versions-a", "champion", "1").code == 0
    ours = "model contains versions-"
    found = lab.call("models", "list", "--versions", "--filter", ours, "--json")
    assert found.code == 0, found.err
    assert [(each["model"], each["version"]) for each in found.json] == [
        ("versions-a", 2),
        ("versions-b", 1),
        ("versions-a", 1),
    ]
    assert found.json[2]["aliases"] == ["champion"] and "aliases" not in found.json[0]
    assert {each["run_id"] for each in found.json} == {digits.run_id}

    champions = lab.call("models", "list", "--versions", "--filter", f"{ours} and aliases contains champion")
    assert "versions-a" in champions.out and "versions-b" not in champions.out
    ordered = lab.call(
        "models", "list", "--versions", "--filter", ours, "--sort", "model", "--sort", "version", "--json"
    )
    assert [(each["model"], each["version"]) for each in ordered.json] == [
        ("versions-a", 1),
        ("versions-a", 2),
        ("versions-b", 1),
    ]
    few = lab.call("models", "list", "--versions", "--filter", ours, "--limit", "2")
    assert "These are 2 of 3 versions. A larger --limit shows more." in few.err
    assert "No version matches." in lab.call("models", "list", "--versions", "--filter", "version = 99").out


def test_a_mistake_in_a_query_of_versions_is_pointed_at(lab: RunningLab) -> None:
    wrong = lab.call("models", "list", "--versions", "--filter", "aliases contians champion")
    assert wrong.code == 2
    assert "Did you mean CONTAINS?" in wrong.err and "^" in wrong.err
    alone = lab.call("models", "list", "--filter", "aliases contains champion")
    assert alone.code == 2 and "--filter and --sort need --versions." in alone.err
