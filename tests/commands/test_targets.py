"""``genops targets`` and ``genops kernels`` with a running Lab and a real sshd, and without a Lab."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from genops_lab.hosts import providers
from genops_lab.hosts.providers.base import Resources
from tests.support import toy_provider
from tests.support.homes import Home
from tests.support.sshd import Sshd, make_key
from tests.support.warm import program

from .conftest import RunningLab, genops

DEADLINE_S = 120.0
STEPS = [
    "reachable",
    "host_key",
    "login",
    "python",
    "agent",
    "ipykernel",
    "mlflow",
    "gpu",
    "disk",
    "clock",
    "logout",
]


@pytest.fixture(scope="module")
def host(lab: RunningLab) -> Iterator[Sshd]:
    """A real sshd that the home's ~/.ssh/config names."""
    with Sshd() as found, pytest.MonkeyPatch.context() as patch:
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        folder = lab.home.path / ".ssh"
        folder.mkdir(mode=0o700)
        (folder / "config").write_text(f"Include {found.config}\n")
        yield found


@pytest.fixture
def target(lab: RunningLab, host: Sshd) -> Iterator[str]:
    """A target on the host, not connected; gone afterwards."""
    added = lab.call("targets", "add", "gpu1", "--ssh", host.alias, "--python", sys.executable, "--json")
    assert added.code == 0, added.err
    yield "gpu1"
    removed = lab.call("targets", "delete", "gpu1", "--force")
    assert removed.code in (0, 3), removed.err


def test_an_alias_that_is_nearly_one_of_the_ssh_config_is_asked_about(lab: RunningLab, host: Sshd) -> None:
    nearly = host.alias[:-1] + "x"
    added = lab.call("targets", "add", "typo", "--ssh", nearly)
    try:
        assert added.code == 0
        assert f"Did you mean {host.alias} of your ssh_config?" in added.err
    finally:
        lab.call("targets", "delete", "typo", "--force")


def error_of(err: str) -> dict[str, Any]:
    return json.loads(err.strip().splitlines()[-1])["error"]


def dialogue(
    lab: RunningLab, answers: Sequence[tuple[bytes, bytes]], *arguments: str
) -> tuple[int, str, str]:
    """Run a command at a terminal, and type each answer when its question is shown.

    Return the exit code, standard output, and what the terminal showed, with the echo of what was typed.
    """
    main, side = pty.openpty()
    process = subprocess.Popen(
        [*program("genops_lab.commands.main"), *arguments], stdin=side, stderr=side,
        stdout=subprocess.PIPE, env=lab.home.environment(), cwd=lab.home.work, start_new_session=True,
    )  # fmt: skip
    os.close(side)
    shown, at, deadline = b"", 0, time.monotonic() + DEADLINE_S
    try:
        for words, answer in answers:
            while words not in shown[at:]:
                assert time.monotonic() < deadline, shown
                if select.select([main], [], [], 1)[0]:
                    shown += os.read(main, 4096)
            at = len(shown)
            os.write(main, answer)
        while time.monotonic() < deadline:
            if select.select([main], [], [], 1)[0]:
                try:
                    shown += os.read(main, 4096)
                except OSError:  # the other side is closed
                    break
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(main)
    return process.returncode, out.decode(), shown.decode()


STEPS_OF_A_TRACE = [
    {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": 1, "ts": n * 1000, "dur": dur}
    for n in range(3)
    for cat, name, dur in (("user_annotation", f"ProfilerStep#{n}", 1000), ("cpu_op", "aten::mm", 500))
]


def test_a_trace_on_a_target_is_analysed_there(lab: RunningLab, host: Sshd, target: str) -> None:
    (host.home / "t.json").write_text(json.dumps({"traceEvents": STEPS_OF_A_TRACE}))
    place = f"{target}:t.json"
    away = lab.call("profiles", "analyze", place, "--json")
    assert (away.code, error_of(away.err)["code"]) == (4, "not_connected")
    assert lab.call("targets", "connect", target).code == 0
    assert lab.call("targets", "set", target, "--price-per-hour", "3.6").code == 0

    found = lab.call("profiles", "analyze", place, "--json")
    assert found.code == 0, found.err
    assert found.json["operators"][0]["name"] == "aten::mm"
    assert found.json["price"] == {"usd_per_hour": 3.6, "target": target, "usd_a_step": pytest.approx(1e-6)}
    [profile] = lab.call("profiles", "list", "--json").json
    assert (profile["trace_target"], profile["trace_path"]) == (target, str(host.home / "t.json"))
    assert f"genops profiles show {profile['id']}" in found.err
    there = lab.call("profiles", "diff", profile["id"], profile["id"])
    assert there.code == 4 and f"genops profiles fetch {profile['id']}" in there.err

    shown = lab.call("profiles", "show", profile["id"]).out
    assert "0.000001 USD a step, at 3.6 USD an hour (the price of target gpu1)" in " ".join(shown.split())
    dearer = lab.call("profiles", "show", profile["id"], "--usd-per-hour", "36").out
    assert "0.00001 USD a step, at 36 USD an hour" in dearer
    fetched = lab.call("profiles", "fetch", profile["id"], "--json").json
    assert fetched["trace_target"] == "" and fetched["trace_path"].endswith("trace.json.gz")

    # Each of these commands takes the id of a profile, too.
    again = lab.call("profiles", "analyze", profile["id"], "--json").json
    assert again["operators"] == found.json["operators"] and again["price"] == found.json["price"]
    both = lab.call("profiles", "diff", profile["id"], fetched["trace_path"], "--json").json
    assert both["before_steps"] == both["after_steps"] == 3
    assert lab.call("profiles", "report", profile["id"], "-o", "of-a-profile.html").code == 0
    assert "has no memory events" in lab.call("profiles", "memory", profile["id"]).err
    nothing = lab.call("profiles", "analyze", "0" * 12)
    assert nothing.code == 3 and "genops profiles list" in nothing.err

    assert lab.call("profiles", "analyze", place, place).code == 2
    missing = lab.call("profiles", "analyze", f"{target}:gone.json")
    assert missing.code == 1 and "No such file" in missing.err
    assert lab.call("profiles", "analyze", "nobody:t.json").code == 3


def test_from_the_ssh_config_to_a_kernel_that_is_stopped(lab: RunningLab, host: Sshd) -> None:
    assert lab.call("targets", "list", "--json").json == []
    assert "genops targets add" in lab.call("targets", "list").out
    [candidate] = lab.call("targets", "discover", "--json").json
    assert (candidate["alias"], candidate["hostname"]) == (host.alias, "127.0.0.1")
    assert f"genops targets add gol-host --ssh {host.alias}" in lab.call("targets", "discover").out

    add = ("targets", "add", "gpu1", "--ssh", host.alias, "--python", sys.executable)
    added = lab.call(*add, "--price-per-hour", "2.5", "--secret", "HF_TOKEN", "--json")
    assert (added.code, added.json["state"], added.json["price_per_hour"]) == (0, "idle", 2.5), added.err
    assert added.json["secrets"] == ["HF_TOKEN"]
    assert lab.call(*add, "--json").json == added.json, "adding it twice changes nothing"
    assert lab.call("targets", "add", "gpu1", "--ssh", "elsewhere").code == 4
    assert lab.call("targets", "discover", "--json").json == []

    tested = lab.call("targets", "test", "gpu1", "--json")
    assert tested.code == 0, tested.err
    assert [step["step"] for step in tested.json["steps"]] == STEPS
    assert tested.json["state"] == "ok"
    for step in STEPS:
        assert f"{step}: " in tested.err

    connected = lab.call("targets", "connect", "gpu1", "--json")
    assert (connected.code, connected.json["state"]) == (0, "up")
    row = lab.call("targets", "list").out.splitlines()[1]
    assert row.split()[:3] == ["gpu1", "connected", host.alias]

    kernel_id = _start(lab, "gpu1")
    [place] = lab.call("kernels", "list", "--json").json
    assert (place["target"], place["connected"]) == ("gpu1", True)
    assert [each["kernel_id"] for each in place["kernels"]] == [kernel_id]
    table = lab.call("kernels", "list", "--target", "gpu1").out
    assert table.splitlines()[1].split()[:3] == ["gpu1", kernel_id[:8], "running"]
    assert lab.call("kernels", "logs", kernel_id[:6], "--json").json["kernel_id"] == kernel_id
    attached = lab.call("kernels", "attach", kernel_id[:6], "--json")
    assert (attached.code, error_of(attached.err)["code"]) == (4, "no_server"), "no Jupyter server is here"
    stopped = lab.call("kernels", "stop", kernel_id[:6], "--grace", "1", "--json")
    assert (stopped.code, stopped.json["state"]) == (0, "ended"), stopped.err
    assert "ended" in lab.call("kernels", "list").out

    assert lab.call("targets", "disconnect", "gpu1", "--json").json["state"] == "idle"
    [place] = lab.call("kernels", "list", "--json").json
    assert (place["connected"], place["kernels"]) == (False, [])
    assert "gpu1: not connected" in lab.call("kernels", "list").out
    assert lab.call("targets", "delete", "gpu1", "--json").json["name"] == "gpu1"
    assert lab.call("targets", "delete", "gpu1").code == 3


def _start(lab: RunningLab, target: str) -> str:
    """A kernel on the target, as another Lab would start it."""
    import uuid

    kernel_id = str(uuid.uuid4())

    async def start() -> None:
        link = await lab.lab.targets.link(target)
        params = {
            "kernel_id": kernel_id, "argv": ["python", "-c", "import time; time.sleep(600)"], "env": {}, "cwd": "",
            "key": "k", "name": "n", "notebook": "a.ipynb", "owner": "ada@laptop", "lease": {"seconds": 0},
        }  # fmt: skip
        await lab.lab.links.run(link.call("kernels.start", params, timeout_s=60))

    lab.run(start())
    return kernel_id


def test_questions_are_asked_at_the_terminal(lab: RunningLab, host: Sshd, target: str) -> None:
    secret = b"a passphrase with spaces"
    key = make_key(host.folder / "locked_key", passphrase=secret.decode())
    known = host.known_hosts.read_text()
    host.authorized_keys.write_text(key.with_suffix(".pub").read_text())
    host.known_hosts.write_text("")
    host.write_config(IdentityFile=key)
    try:
        code, out, shown = dialogue(lab, [(b"[y/N]", b"n\n")], "targets", "connect", target, "--json")
        assert (code, out) == (5, "")
        assert host.fingerprint() in shown

        code, out, shown = dialogue(
            lab, [(b"[y/N]", b"y\n"), (b"assphrase", secret + b"\n")], "targets", "connect", target, "--json"
        )
        assert (code, json.loads(out)["state"]) == (0, "up"), shown
        assert secret.decode() not in shown, "what is typed is not shown"
    finally:
        host.known_hosts.write_text(known)
        host.authorized_keys.write_text(host.user_key.with_suffix(".pub").read_text())
        host.write_config()


def test_a_host_that_refuses_the_login_has_a_hint(lab: RunningLab, host: Sshd, target: str) -> None:
    host.authorized_keys.write_text("")
    try:
        outcome = lab.call("targets", "connect", target, "--json")
        assert (outcome.code, outcome.out) == (5, "")
        assert error_of(outcome.err)["hint"]
        tested = lab.call("targets", "test", target, "--json")
        assert tested.code == 1
        states = {step["step"]: step["state"] for step in tested.json["steps"]}
        assert (states["host_key"], states["login"], states["python"]) == ("ok", "failed", "skipped")
        assert "login" in error_of(tested.err)["message"]
        listed = lab.call("targets", "list").out
        assert "failed" in listed
    finally:
        host.authorized_keys.write_text(host.user_key.with_suffix(".pub").read_text())


def test_wrong_targets_and_kernels_have_their_exit_codes(lab: RunningLab, target: str) -> None:
    for code, arguments in (
        (3, ("targets", "test", "nobody")),
        (3, ("targets", "connect", "nobody")),
        (3, ("targets", "disconnect", "nobody")),
        (3, ("targets", "delete", "nobody")),
        (3, ("kernels", "stop", "nobody")),
        (3, ("kernels", "logs", "../../etc/passwd")),
        (3, ("kernels", "list", "--target", "größe")),
        (2, ("targets", "add", "Größe GPU", "--ssh", "h")),
        (2, ("targets", "add", "../x", "--ssh", "h")),
        (2, ("targets", "add", "x" * 500, "--ssh", "h")),
        (2, ("targets", "add", "x", "--ssh", "-oProxyCommand=touch x")),
        (2, ("targets", "add", "x")),
        (2, ("targets", "add", "x", "--ssh", "h", "--local")),
        (2, ("targets", "add", "x", "--ssh", "h", "--carrier", "pigeon")),
        (2, ("targets", "add", "x", "--ssh", "h", "--secret", "JUPYTERHUB_API_TOKEN")),
    ):
        outcome = lab.call(*arguments, "--json")
        assert (outcome.code, outcome.out) == (code, ""), (arguments, outcome.err)
        assert error_of(outcome.err)["message"] and error_of(outcome.err)["hint"], arguments
    assert [each["name"] for each in lab.call("targets", "list", "--json").json] == [target]


def test_set_changes_the_given_settings_alone(lab: RunningLab, target: str) -> None:
    def changed(*arguments: str) -> dict[str, Any]:
        done = lab.call("targets", "set", target, *arguments, "--json")
        assert done.code == 0, done.err
        found: dict[str, Any] = json.loads(done.out)
        return found

    changed("--warm", "2", "--secret", "HF_TOKEN", "--secret", "WANDB_API_KEY", "--price-per-hour", "2.5")
    found = changed("--idle", "30m", "--idle-gpu", "10", "--no-secret", "HF_TOKEN")
    assert (found["price_per_hour"], found["secrets"]) == (2.5, ["WANDB_API_KEY"])
    wanted = {"warm_kernels": 2, "idle_minutes": 30.0, "idle_gpu_percent": 10.0}
    assert {name: found["policy"][name] for name in wanted} == wanted
    assert changed("--idle", "2d")["policy"]["idle_minutes"] == 2880
    shown = lab.call("targets", "set", target, "--warm", "1")
    assert "1 wanted" in shown.out and "stopped after 2 d 0 h with GPU use up to 10 %" in shown.out
    assert changed("--no-folder")["policy"] == {
        **found["policy"], "warm_kernels": 1, "idle_minutes": 2880, "folder": "off",
    }  # fmt: skip
    assert changed("--idle", "off", "--warm", "0")["policy"]["idle_minutes"] is None
    assert changed("--folder-size", "1.5GiB")["policy"]["folder_max_bytes"] == 1536 * 1024**2
    policy = changed("--folder", "--folder-size", "1.5GB", "--folder-files", "0")["policy"]
    assert (policy["folder"], policy["folder_max_bytes"], policy["folder_max_files"]) == (
        "sync",
        1_500_000_000,
        0,
    )


@pytest.mark.parametrize(
    "arguments",
    [(), ("--idle", "soon"), ("--idle", "30"), ("--idle", "0m"), ("--idle", "900d"),
     ("--folder-size", "much"), ("--no-secret", "OTHER"),
     ("--secret", "SSH_AUTH_SOCK")],
)  # fmt: skip
def test_a_setting_that_is_refused_has_a_hint(
    lab: RunningLab, target: str, arguments: tuple[str, ...]
) -> None:
    done = lab.call("targets", "set", target, *arguments, "--json")
    assert done.code != 0 and error_of(done.err)["hint"], done.err


def test_a_tab_completes_targets(lab: RunningLab, target: str) -> None:
    done = genops(
        lab.home, _GENOPS_COMPLETE="complete_bash", COMP_WORDS="genops targets test g", COMP_CWORD="3"
    )
    assert done.out.split() == [target]


def test_without_a_lab_targets_are_added_and_tested_but_not_connected(home: Home) -> None:
    added = genops(home, "targets", "add", "here", "--local", "--python", sys.executable, "--json")
    assert (added.code, added.json["kind"]) == (0, "local"), added.err
    assert [each["name"] for each in genops(home, "targets", "list", "--json").json] == ["here"]
    connected = genops(home, "targets", "connect", "here", "--json")
    assert (connected.code, connected.out) == (5, "")
    assert "genops targets test here" in error_of(connected.err)["hint"]
    tested = genops(home, "targets", "test", "here", "--json")
    assert (tested.code, tested.json["state"]) == (0, "ok"), tested.err
    assert genops(home, "kernels", "list", "--json").json[0]["connected"] is False
    assert genops(home, "targets", "delete", "here", "--json").code == 0


def test_without_a_lab_and_a_person_a_question_is_refused(home: Home) -> None:
    with Sshd() as host:
        host.known_hosts.write_text("")
        (home.path / ".ssh").mkdir(mode=0o700)
        (home.path / ".ssh" / "config").write_text(f"Include {host.config}\n")
        assert genops(home, "targets", "add", "gpu1", "--ssh", host.alias).code == 0
        tested = genops(home, "targets", "test", "gpu1", "--json")
        assert tested.code == 1
        states = {step["step"]: step["state"] for step in tested.json["steps"]}
        assert states["host_key"] == "failed"
        assert host.fingerprint() in tested.err and "Nobody can answer" in tested.err


def test_a_target_is_added_by_the_fields_of_its_kind(lab: RunningLab, host: Sshd) -> None:
    fields = ["--field", f"host={host.alias}", "--field", "port=2222", "--field", f"python={sys.executable}"]
    added = lab.call("targets", "add", "by-fields", "--kind", "ssh", *fields, "--json")
    try:
        assert added.code == 0, added.err
        assert (added.json["host"], added.json["port"], added.json["python"]) == (
            host.alias, 2222, sys.executable,
        )  # fmt: skip
        shown = lab.call("targets", "show", "by-fields")
        assert shown.code == 0 and "port" in shown.out and "2222" in shown.out, shown.err
    finally:
        lab.call("targets", "delete", "by-fields", "--force")
    wrong = lab.call("targets", "add", "other", "--kind", "ssh", "--field", "colour=red")
    assert wrong.code and "colour=red" in wrong.err and "identity_file" in wrong.err
    wrong = lab.call("targets", "add", "other", "--kind", "ssh", "--field", "port=many")
    assert wrong.code and "Give a number" in wrong.err
    assert "ssh, slurm, kubernetes, local" in lab.call("targets", "add", "other", "--kind", "moon").err


def test_a_cluster_is_added_and_its_role_printed(lab: RunningLab, tmp_path: Path) -> None:
    given = ("--kubernetes", "lab", "--namespace", "team", "--image", "team/train:1", "--gpus", "2")
    added = lab.call("targets", "add", "cluster", *given, "--field", "tolerations=nvidia.com/gpu", "--json")
    assert added.code == 0, added.err
    try:
        assert json.loads(added.out)["config"]["tolerations"] == "nvidia.com/gpu"
        printed = list(yaml.safe_load_all(lab.call("targets", "role", "cluster").out))
        assert [each["kind"] for each in printed if each] == [
            "ServiceAccount", "Role", "RoleBinding", "NetworkPolicy",
        ]  # fmt: skip
        assert {each["metadata"]["namespace"] for each in printed if each} == {"team"}
        assert {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]} in printed[1][
            "rules"
        ]
        assert lab.call("targets", "add-preset", "cluster", "--gpus", "4").code == 0
        pod = yaml.safe_load(lab.call("targets", "request", "cluster", "--preset", "4 GPUs").out)
        kernel = next(each for each in pod["spec"]["containers"] if each["name"] == "kernel")
        assert (kernel["image"], kernel["resources"]["limits"]["nvidia.com/gpu"]) == ("team/train:1", "4")
        assert "has no preset 'x'" in lab.call("targets", "request", "cluster", "--preset", "x").err
    finally:
        lab.call("targets", "delete", "cluster", "--force")
    own = tmp_path / "own.sh"
    own.write_text("#!/bin/bash\nexport HF_HOME=/scratch/hf\n")
    given = ("--slurm", "login1", "--partition", "gpu", "--batch-script", str(own))
    assert lab.call("targets", "add", "line", *given).code == 0
    try:
        kept = ("--warm", "1", "--warm-time", "30m", "--price-per-hour", "2.5")
        shown = lab.call("targets", "set", "line", *kept, COLUMNS="400")
        assert "in a job each, for 30 minutes at most, 2.5 USD/h each" in shown.out, shown
        assert "needs its own job" in lab.call("targets", "set", "line", "--warm", "5").err
        assert lab.call("targets", "set", "line", "--warm", "0").code == 0
        script = lab.call("targets", "request", "line").out
        assert script.startswith("#!/bin/bash\n#SBATCH ") and "#SBATCH --partition=gpu" in script
        assert "\nexport HF_HOME=/scratch/hf\n" in script
        assert "KERNEL" in script.split("#SBATCH")[1]
        edited = tmp_path / "edited.sh"
        edited.write_text(script.replace("/scratch/hf", "/scratch/mine"))
        kept = lab.call("targets", "request", "line", "--keep", str(edited))
        assert kept.code == 0 and "HF_HOME=/scratch/mine" in kept.out
        assert lab.call("targets", "request", "line").out == kept.out, "later starts are built on it"
        edited.write_text("#!/bin/bash\nexit 0\n")
        refused = lab.call("targets", "request", "line", "--keep", str(edited))
        assert refused.code != 0 and "Line 2 of the batch script" in refused.err
        missing = lab.call("targets", "request", "line", "--keep", str(tmp_path / "none.sh"))
        assert missing.code != 0 and "none.sh cannot be read" in missing.err
        edited.write_text("")
        assert "HF_HOME" not in lab.call("targets", "request", "line", "--keep", str(edited)).out
    finally:
        lab.call("targets", "delete", "line", "--force")
    assert "needs --kubernetes" in lab.call("targets", "add", "other", "--local", "--gpus", "2").err
    assert "needs an image" in lab.call("targets", "add", "other", "--kubernetes", "lab").err


def test_kinds_show_defaults_limits_and_locks() -> None:
    from genops_lab.commands import document
    from genops_lab.commands.views.targets import kinds
    from genops_lab.hosts.configuration import limited
    from genops_lab.hosts.models import TargetKind
    from genops_lab.hosts.providers import provider_of

    limits = {"carrier": {"default": "openssh", "locked": True}, "port": {"default": 2222, "minimum": 1024}}
    fields = limited(provider_of("ssh").form(), limits)
    (table, _note) = kinds([TargetKind(kind="ssh", label="SSH", fields=fields, steps=[])]).blocks
    assert isinstance(table, document.Table)
    shown = {str(row[2]): (row[3], row[4], row[5]) for row in table.rows}
    assert shown["carrier"] == ("openssh", "auto, openssh, paramiko", "locked")
    assert shown["port"] == ("2222", "1024 to 65535", "default, limits")
    assert shown["host"][2] == ""


def test_hosts_without_kernels_are_listed_and_released(lab: RunningLab, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(providers.PROVIDERS, "toy", toy_provider.PROVIDER)
        fields = ["--field", f"folder={tmp_path}", "--price-per-hour", "2.5"]
        added = lab.call("targets", "add", "queue", "--kind", "toy", *fields)
        assert added.code == 0, added.err
        try:
            route = providers.route_of("queue", "toy", folder=str(tmp_path))
            asyncio.run(toy_provider.PROVIDER.allocate(route, "lost", Resources()))
            listed = lab.call("targets", "hosts", "queue")
            assert "left over" in listed.out and "2.5 USD/h" in listed.out and "another machine" in listed.out
            connected = lab.call("targets", "connect", "queue")
            assert connected.code == 0, connected.err
            removed = lab.call("targets", "delete", "queue")
            assert removed.code and "left over: lost" in removed.err
            assert lab.call("targets", "stop-host", "queue", "nowhere").code
            released = lab.call("targets", "stop-host", "queue", "lost")
            assert released.code == 0 and not list(tmp_path.glob("*/asked.json")), released.err
            none = lab.call("targets", "connect", "queue")
            assert none.code and "queue has no running toy: each kernel gets one when it starts." in none.err
        finally:
            lab.call("targets", "delete", "queue", "--force")
