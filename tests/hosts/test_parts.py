"""Names, prices, secrets, hosts of the ssh_config."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from genops_lab.core.errors import InvalidRequest
from genops_lab.hosts.models import Candidate, NewTarget
from genops_lab.hosts.names import check_name, check_secrets, default_name, is_name, kernel_name
from genops_lab.hosts.providers import route_of
from genops_lab.hosts.providers.ssh.candidates import candidates
from genops_lab.hosts.records import record_of
from tests.support.homes import Home

BAD_NAMES = [
    "", " ", "..", "../up", "a/b", "a b", "GPU1", "größe", "数字", "-x", ".hidden", "_x", "x" * 58, "x\n", "x\0",
    "candidates",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names_are_refused_with_one_that_would_do(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_name(name)
    suggested = re.search(r"such as '([^']+)'", caught.value.hint)
    assert suggested is not None and is_name(suggested[1])


@pytest.mark.parametrize("name", ["g", "gpu1", "a100.lab_2-x", "1", "x" * 57])
def test_good_names_name_a_kernelspec(name: str) -> None:
    from jupyter_client.kernelspec import _is_valid_kernel_name

    assert check_name(name) == name
    assert _is_valid_kernel_name(kernel_name(name)) and len(kernel_name(name)) <= 64


@pytest.mark.parametrize(
    ("text", "name"),
    [("Größe GPU", "groe-gpu"), ("数字", "gpu"), ("../x", "x"), ("candidates", "candidates-1")],
)
def test_a_name_is_made_of_anything(text: str, name: str) -> None:
    assert default_name(text) == name


@pytest.mark.parametrize("secret", ["", "A B", "A=b", "1A", "x" * 300, "ä"])
def test_what_is_no_variable_is_refused(secret: str) -> None:
    with pytest.raises(InvalidRequest, match="not the name of a variable"):
        check_secrets([secret])


@pytest.mark.parametrize("secret", ["JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN", "SSH_AUTH_SOCK", "jupyterhub_x"])
def test_what_would_let_a_host_act_as_the_user_is_never_sent(secret: str) -> None:
    with pytest.raises(InvalidRequest, match="never sent"):
        check_secrets(["HF_TOKEN", secret])


def test_secrets_are_kept_once() -> None:
    assert check_secrets(["B", "A", "B"]) == ["A", "B"]


@pytest.mark.parametrize(
    "fields",
    [
        {"host": ""}, {"host": "-oProxyCommand=x"}, {"host": "a b"}, {"host": "h", "user": "-l"},
        {"host": "h", "port": 70000}, {"host": "h", "port": -1}, {"host": "h", "price_per_hour": -0.1},
        {"host": "h", "price_per_hour": float("inf")}, {"host": "h", "price_per_hour": float("nan")},
        {"host": "x" * 2000}, {"host": "h", "python": "x" * 2000}, {"host": "h", "python": "a\nb"},
        {"kind": "local", "host": "h"}, {"kind": "local", "user": "u"},
    ],
)  # fmt: skip
def test_what_cannot_be_reached_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        record_of(NewTarget(name="x", **fields))  # type: ignore[arg-type]
    assert caught.value.hint


def test_the_ssh_config_offers_its_concrete_hosts(at_home: Home) -> None:
    folder = at_home.path / ".ssh"
    (folder / "conf.d").mkdir()
    (folder / "conf.d" / "10-lab").write_text("Host lab1 lab2\n  HostName %h.example.org\n  User ada\n")
    (folder / "conf.d" / "20-loop").write_text("Include conf.d/*\nHost looped\n")
    (folder / "config").write_text(
        "Include conf.d/* /nonexistent/x\n"
        "# Host commented\n"
        "host = quoted\n\tHostname 10.0.0.1 # here\n  PORT=2222\n"
        'Host "with quote" *.internal !bad gpu?\n  User nobody\n'
        "Match host elsewhere\n  User other\n"
        "Host Big_GPU\n  Port many\n"
        "Host quoted\n  User late\n"
        "Host *\n  User everybody\n"
    )
    found = candidates([])
    assert found == [
        Candidate(alias="lab1", name="lab1", hostname="lab1.example.org", user="ada"),
        Candidate(alias="lab2", name="lab2", hostname="lab2.example.org", user="ada"),
        Candidate(alias="looped", name="looped"),
        Candidate(alias="quoted", name="quoted", hostname="10.0.0.1", user="late", port=2222),
        Candidate(alias="with quote", name="with-quote", user="nobody"),
        Candidate(alias="Big_GPU", name="big_gpu"),
    ]


def test_hosts_that_are_targets_are_not_offered_and_names_stay_free(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host GPU\nHost gpu\nHost other\n")
    known = [route_of(target="gpu", host="elsewhere"), route_of(target="x", host="other")]
    assert [(each.alias, each.name) for each in candidates(known, config)] == [
        ("GPU", "gpu-2"),
        ("gpu", "gpu-3"),
    ]


@pytest.mark.parametrize(
    "text", ["", "Host\n", 'Host "open\n', "\0\xff garbage \x80", "Include\nInclude *\n"]
)
def test_an_ssh_config_in_any_state_is_read(at_home: Home, text: str) -> None:
    (at_home.path / ".ssh" / "config").write_text(text, encoding="latin-1")
    assert [each.alias for each in candidates([])] in ([], ['"open'])


def test_without_an_ssh_config_nothing_is_offered(tmp_path: Path) -> None:
    assert candidates([], tmp_path / "config") == []
    assert candidates([], tmp_path) == []
