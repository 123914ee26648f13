"""Lineage as text."""

from __future__ import annotations

from genops_lab.commands.terminal import render
from genops_lab.commands.views.lineage import lineage_tree, runs_without_version
from genops_lab.lineage.graph import Graph
from genops_lab.lineage.models import LineageNode


def node(id: str, **more: object) -> LineageNode:
    return LineageNode(id=id, **{"kind": "version", "name": id, "version": "1", **more})  # type: ignore[arg-type]


def test_the_tree_says_how_each_object_belongs_to_the_one_above() -> None:
    run_id = "1a2b3c4d" * 4
    graph = Graph(node("root", aliases=["champion"], run_id=run_id))
    run = node(
        "r", kind="run", name="train", run_id=run_id, status="FAILED", commit="9f8e7d6c5b", dirty=True, cells=6,
        source="a.ipynb", environment="Python 3.11", version="",
    )  # fmt: skip
    graph.add(run, "root", "logged", upward=True)
    data = node("d", kind="data", name="x" * 250, digest="aaa1", source="/data/d.csv", version="")
    graph.add(data, "r", "input", upward=True, context="training")
    graph.add(node("small", deleted=True), "root", "derived", upward=False)
    graph.add(node("p", kind="deployment", name="prod", state="running"), "small", "serves", upward=False)
    graph.add(
        node("t", kind="deployment", name="theirs", owner="bob\x1b[31m"), "root", "serves", upward=False
    )
    graph.add(node("root"), "small", "derived", upward=False)
    graph.note("Something is missing.")
    text = render(lineage_tree(graph.shown(200), "both"), width=200)
    assert "Made from:" in text and text.index("Made from:") < text.index("Stands on it:")
    assert (
        "├─ logged by run train (1a2b3c4d): failed, commit 9f8e7d6c with changes, a.ipynb, 6 cells, Python 3.11"
        in text
    )
    assert f"│  └─ training: data set {'x' * 59}… @aaa1: /data/d.csv" in text
    assert "├─ became small version 1: deleted" in text
    assert "│  ├─ deployed as deployment prod: running" in text
    assert "│  └─ became root version 1: champion (see above)" in text
    assert "└─ deployed as deployment theirs: of bob\\x1b[31m" in text
    assert text.rstrip().endswith("Something is missing.")


def test_what_is_not_known_or_not_shown_is_said() -> None:
    graph = Graph(node("root"))
    text = render(lineage_tree(graph.shown(200), "both"), width=80)
    assert "Nothing is known of what it was made from." in text and "Nothing stands on it." in text
    for number in range(3):
        graph.add(node(f"v{number}"), "root", "derived", upward=False)
    text = render(lineage_tree(graph.shown(2), "down"), width=80)
    assert "and 2 more versions" in text and "made from" not in text


def test_runs_without_a_version_are_counted_and_listed() -> None:
    graph = Graph(node("root"))
    graph.add_unread(4950, without_version=True)
    text = render(lineage_tree(graph.shown(200), "down"), width=80)
    assert "and 4,950 runs without a version: --runs lists them" in text
    graph = Graph(node("root"))
    graph.add_unread(1, without_version=True, at_least=True)
    graph.add_unread(1200)
    text = render(lineage_tree(graph.shown(200), "down"), width=80)
    assert "and at least 1 run without a version" in text and "and 1,200 more runs" in text
    listed = [node(f"r{at}", kind="run", name="übung " + "数" * 250, run_id=f"{at}" * 32) for at in range(2)]
    text = render(runs_without_version(listed, "data:d@1", True), width=200)
    assert f"run übung {'数' * 53}… (11111111)" in text and "These are the newest 2 runs." in text
    assert "All runs of data:d@1 lead to a version." in render(
        runs_without_version([], "data:d@1", False), width=80
    )
