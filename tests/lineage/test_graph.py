"""Which nodes of a large lineage are shown, and where each stands."""

from __future__ import annotations

import pytest

from genops_lab.core.errors import InvalidRequest
from genops_lab.lineage.graph import Graph
from genops_lab.lineage.models import LineageNode, NodeKind
from genops_lab.lineage.names import Start, parse, version_of


def node(kind: NodeKind, name: str, **more: object) -> LineageNode:
    return LineageNode(id=f"{kind}:{name}", kind=kind, name=name, **more)  # type: ignore[arg-type]


def test_names_are_read_with_their_parts_and_wrong_words_get_a_hint() -> None:
    assert parse("data:train@2026@3fa4") == Start("data", "train@2026", "3fa4")
    assert parse("data:train") == Start("data", "train")
    assert parse("dataset:train@1") == Start("data", "train", "1")
    assert parse("model:größe v2@champion") == Start("version", "größe v2", "champion")
    assert parse("models:/digits/3") == parse("version:digits@3") == Start("version", "digits", "3")
    assert parse("base:hf:ORG/NAME@main") == Start("base", "hf:ORG/NAME@main")
    assert parse("run:@5") == Start("run", "@5")
    assert version_of("models:/digits@champion") == ("digits", "champion")
    for other in ("models:/m-1", "models:/", "hf:ORG/NAME", "models:/a/b", "models://3", ""):
        assert version_of(other) is None
    with pytest.raises(InvalidRequest, match="'deploymnt:x' does not say") as error:
        parse("deploymnt:x")
    assert error.value.hint.startswith("Did you mean deployment?")
    for wrong in ("digits", "commit:", "data: ", ""):
        with pytest.raises(InvalidRequest) as refused:
            parse(wrong)
        assert "model:NAME@VERSION" in refused.value.hint


def test_of_many_nodes_deployments_and_aliases_stay_with_the_way_to_each() -> None:
    graph = Graph(node("data", "d"))
    for number in range(60):
        graph.add(node("run", f"r{number}"), "data:d", "input", upward=False)
        aliases = ["champion"] if number == 57 else []
        graph.add(node("version", f"v{number}", aliases=aliases), f"run:r{number}", "logged", upward=False)
    graph.add(node("deployment", "prod", state="running"), "version:v59", "serves", upward=False)
    shown = graph.shown(20)
    ids = {each.id for each in shown.nodes}
    assert len(shown.nodes) == 20
    assert {"data:d", "run:r59", "version:v59", "deployment:prod", "run:r57", "version:v57"} <= ids
    assert all(edge.start in ids and edge.end in ids for edge in shown.edges)
    folded = {(fold.kind, fold.column): fold.count for fold in shown.folds}
    runs, versions = (len([each for each in shown.nodes if each.kind == kind]) for kind in ("run", "version"))
    assert folded == {("run", 1): 60 - runs, ("version", 2): 60 - versions}
    assert len(graph.shown(1).nodes) == 1 and sum(fold.count for fold in graph.shown(1).folds) == 121
    assert not graph.shown(1000).folds and len(graph.shown(1000).nodes) == 122


def test_columns_follow_what_is_derived_and_circles_end() -> None:
    graph = Graph(node("version", "a"))
    graph.add(node("version", "b"), "version:a", "derived", upward=False)
    graph.add(node("version", "c"), "version:b", "derived", upward=False)
    graph.add(node("run", "r"), "version:a", "logged", upward=True)
    graph.add(node("deployment", "d"), "version:a", "serves", upward=False)
    columns = {each.name: each.column for each in graph.shown(200).nodes}
    assert columns == {"a": 2, "b": 3, "c": 4, "r": 1, "d": 5}
    assert not graph.add(node("version", "a"), "version:c", "derived", upward=False)  # a circle
    assert not graph.add(node("version", "a"), "version:a", "derived", upward=False)  # itself
    assert max(each.column for each in graph.shown(200).nodes) < 15
    assert len(graph.shown(200).edges) == 5


def test_a_data_set_that_is_read_twice_has_both_contexts() -> None:
    graph = Graph(node("run", "r"))
    for context in ("training", "validation", "training", ""):
        graph.add(node("data", "d"), "run:r", "input", upward=True, context=context)
    assert [edge.context for edge in graph.shown(9).edges] == ["training, validation"]
