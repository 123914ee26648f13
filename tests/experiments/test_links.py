"""Links to runs: right for who gets them, and without credentials."""

from __future__ import annotations

import pytest

from genops_lab.experiments.models import Run
from genops_lab.experiments.service import links_of

RUN = Run(run_id="abc", experiment_id="7", experiment="e", name="fox", status="FINISHED")


@pytest.mark.parametrize(
    ("uri", "page", "shared"),
    [
        ("https://mlflow.example", "https://mlflow.example/#/experiments/7/runs/abc", True),
        ("https://mlflow.example/", "https://mlflow.example/#/experiments/7/runs/abc", True),
        (
            "http://ada:s3cret@m:5000/team/ml/?token=s3cret#x",
            "http://m:5000/team/ml/#/experiments/7/runs/abc",
            True,
        ),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000/#/experiments/7/runs/abc", False),
        ("http://[::1]:5000", "http://[::1]:5000/#/experiments/7/runs/abc", False),
        ("http://localhost:5000", "http://localhost:5000/#/experiments/7/runs/abc", False),
        ("postgresql://ada:s3cret@db/mlflow", "", True),
        ("sqlite:////home/ada/mlflow.db", "", False),
        ("file:///home/ada/mlruns", "", False),
        ("/home/ada/mlruns", "", False),
    ],
)
def test_mlflows_own_page(uri: str, page: str, shared: bool) -> None:
    links = links_of(RUN, uri, {})
    assert (links.mlflow, links.shared, links.hub) == (page, shared, "")
    assert bool(links.why) == bool(links.hint) == (not shared)
    assert "s3cret" not in repr(links) and "/home/ada" not in repr(links)


def test_on_a_hub_everybody_comes_to_their_own_server() -> None:
    lab = "lab?genops-run=abc"
    assert links_of(RUN, "https://m", {}).lab == lab
    for environment, hub in (
        ({"JUPYTERHUB_BASE_URL": "/"}, "/hub/user-redirect/"),
        ({"JUPYTERHUB_BASE_URL": "/team/a/"}, "/team/a/hub/user-redirect/"),
        (
            {"JUPYTERHUB_BASE_URL": "/t/", "JUPYTERHUB_HOST": "https://hub.example"},
            "https://hub.example/t/hub/user-redirect/",
        ),
        (
            {"JUPYTERHUB_BASE_URL": "/t/", "JUPYTERHUB_PUBLIC_HUB_URL": "https://hub.example/t/hub/"},
            "https://hub.example/t/hub/user-redirect/",
        ),
    ):
        assert links_of(RUN, "https://m", environment).hub == hub + lab
