"""The administrator's limits hold on every way to a host: choices, presets, variables, kernelspecs, templates."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from genops_lab.core.errors import InvalidRequest, NotAllowed
from genops_lab.core.settings import Settings
from genops_lab.hosts import providers
from genops_lab.hosts.allocated import HostClaims
from genops_lab.hosts.models import NewPreset, NewTarget
from genops_lab.hosts.operator_rules import OperatorRules, allowed, load, rules_of, save
from genops_lab.hosts.presets import PresetsService
from genops_lab.hosts.providers import route_of
from genops_lab.hosts.providers.base import Resources
from genops_lab.hosts.providers.slurm.request_limits import seconds, size
from tests.support import toy_provider
from tests.support.homes import Home

from .labs import open_lab, run

SLURM = {
    "gpus": {"maximum": 4}, "partition": {"choices": ["gpu"]}, "time_s": {"maximum": 7200}, "qos": {"choices": [""]},
}  # fmt: skip
KUBERNETES = {
    "gpus": {"maximum": 4}, "hours": {"maximum": 2}, "image": {"choices": ["good:1"]},
    "memory_bytes": {"maximum": 2**34},
    "namespace": {"default": "team", "locked": True}, "queue": {"default": "q", "locked": True},
    "priority_class": {"choices": ["", "low"]},
}  # fmt: skip
RULES = OperatorRules(fields={"slurm": SLURM, "kubernetes": KUBERNETES})


def slurm(rules: OperatorRules = RULES, resources: Resources = Resources(), **config: Any) -> Resources:  # noqa: B008
    fields = {"host": "login", "partition": "gpu", "python": "python3", **config}
    return allowed(rules, route_of("cluster", "slurm", **fields), "one", resources)


def kubernetes(template: dict[str, Any] | None, folder: Path, **config: Any) -> Resources:
    if template is not None:
        file = folder / "pod.yaml"
        file.write_text(
            yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{}]}, **template})
        )
        config["pod_template"] = str(file)
    fields = {"context": "c", "namespace": "team", "queue": "q", "image": "good:1", "hours": 1.0, **config}
    return allowed(RULES, route_of("cluster", "kubernetes", **fields), "one", Resources())


@pytest.mark.parametrize(
    ("config", "resources", "why"),
    [
        ({}, Resources(gpus=5), "A host with 5 GPUs cannot be requested"),
        ({"gpus": 5}, Resources(), "5 is not a number of GPUs"),
        ({}, Resources(time_s=7201), "A host with 2 h cannot"),
        ({"time": "1-0"}, Resources(), "A host with 24 h cannot"),
        ({"partition": "big"}, Resources(), "'big' is not a partition"),
        ({"sbatch": "--gres=gpu:8"}, Resources(), "--gres would pass by the administrator's limit of gpus"),
        (
            {"sbatch": "--gpus-per-n=8"},
            Resources(),
            "--gpus-per-n would pass by",
        ),  # the beginning of an option
        ({"sbatch": "--exclusive"}, Resources(), "limit of gpus"),
        ({"sbatch": "--partition=big"}, Resources(), "limit of partition"),
        ({"sbatch": "--tim=9999"}, Resources(), "limit of time_s"),
    ],
)
def test_slurm_refuses_what_is_over_a_limit(config: dict[str, Any], resources: Resources, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as refused:
        slurm(resources=resources, **config)
    assert refused.value.hint


@pytest.mark.parametrize("line", ["--gres=gpu:8", "-G 8", "--parti=big", "--mail-type=END --gpus 8"])
def test_a_users_batch_script_does_not_pass_by_a_limit(line: str, tmp_path: Path) -> None:
    file = tmp_path / "job.sh"
    file.write_text(f"#!/bin/bash\n#SBATCH --mail-type=END\n#SBATCH {line}\n")
    with pytest.raises(InvalidRequest, match="would pass by the administrator's limit"):
        slurm(batch_script=str(file))
    file.write_text("#!/bin/bash\n#SBATCH -p big\n#SBATCH -t 9999\n")  # both are replaced
    assert slurm(batch_script=str(file)).time_s == 7200


def test_slurm_grants_what_is_within_and_the_longest_time_where_none_is_given() -> None:
    assert slurm(resources=Resources(gpus=4, time_s=60)) == Resources(gpus=4, time_s=60)
    assert slurm(sbatch="--mail-type=END --gpu-bind=none").time_s == 7200
    assert slurm(time="60").time_s is None, "the target's own time is within"
    assert slurm(OperatorRules(), Resources(gpus=99), sbatch="--gres=gpu:8") == Resources(gpus=99)
    # The administrator's own target may go beyond its users' choices, which have the limit.
    own = OperatorRules(fields=RULES.fields, own_targets=["cluster"])
    assert slurm(own, sbatch="--exclusive", partition="big").time_s == 7200
    with pytest.raises(InvalidRequest):
        slurm(own, Resources(gpus=5))


@pytest.mark.parametrize(
    ("template", "config", "why"),
    [
        ({"spec": {"containers": [{"resources": {"limits": {"nvidia.com/gpu": 8}}}]}}, {}, "would have GPUs 8"),
        (
            {"spec": {"containers": [{}, {"image": "good:1", "resources": {"limits": {"amd.com/gpu": "3"}}}]}},
            {"gpus": 2},
            "would have GPUs 5",
        ),
        ({"spec": {"containers": [{}], "initContainers": [{"name": "i", "image": "bad:1"}]}}, {}, "Image bad:1"),
        ({"spec": {"containers": [{}], "priorityClassName": "high"}}, {}, "would have Priority class high"),
        ({"spec": {"containers": [{}], "activeDeadlineSeconds": 9000}}, {"hours": 0.0}, None),
        ({"spec": {"containers": [{}], "resourceClaims": [{"name": "gpu"}]}}, {}, "claims devices"),
        ({"spec": {"containers": [{"resources": {"limits": {"memory": "32Gi"}}}]}}, {}, "would have Memory"),
        (None, {"namespace": "other"}, "administrator has set Namespace to team"),
        (None, {"queue": ""}, "administrator has set"),
        (None, {"image": "bad:1"}, "'bad:1' is not an image"),
        (None, {"hours": 3.0}, "is not|cannot"),
        (None, {"memory": "32Gi"}, "A host with 32 GiB cannot"),
    ],
)  # fmt: skip
def test_a_pod_template_does_not_pass_by_a_limit(
    template: dict[str, Any] | None, config: dict[str, Any], why: str | None, tmp_path: Path
) -> None:
    if why is None:  # the longest time replaces the template's own
        assert kubernetes(template, tmp_path, **config).time_s == 7200
        return
    with pytest.raises(InvalidRequest, match=why) as refused:
        kubernetes(template, tmp_path, **config)
    assert refused.value.hint


def test_a_pod_within_the_limits(tmp_path: Path) -> None:
    mild = {
        "spec": {"containers": [{"resources": {"limits": {"memory": "1Gi"}}}], "priorityClassName": "low"}
    }
    assert kubernetes(mild, tmp_path, gpus=4, memory="16Gi") == Resources()


@pytest.mark.parametrize(
    ("most", "price", "asked", "refused"),
    [
        (5.0, 4.2, Resources(), False),
        (4.0, 4.2, Resources(), True),
        (4.0, None, Resources(), False),  # nobody knows it
        (None, 99.0, Resources(), False),
        (4.0, 1.0, Resources(gpus=8), True),  # what the administrator's preset costs
    ],
)
def test_a_price_over_the_limit_is_refused(
    most: float | None, price: float | None, asked: Resources, refused: bool, tmp_path: Path
) -> None:
    preset = {"cluster": [{"name": "big", "resources": {"gpus": 8}, "price_per_hour": 33.0}]}
    server = Settings(data_dir=tmp_path, targets=(), target_presets=preset, max_price_per_hour=most)
    save(tmp_path, rules_of(server))
    target = route_of("cluster", "slurm", host="login")
    if not refused:
        assert HostClaims(tmp_path).allowed(target, "one", asked, price) == asked
        return
    with pytest.raises(InvalidRequest, match="USD an hour, and the administrator allows 4") as error:
        HostClaims(tmp_path).allowed(target, "one", asked, price)
    assert error.value.hint


def test_units_of_slurm() -> None:
    assert (size("8"), size("2G"), seconds("90"), seconds("4:00:00"), seconds("1-12"), seconds("5:30")) == (
        8 * 1024**2, 2 * 1024**3, 5400.0, 14400.0, 129600.0, 330.0,
    )  # fmt: skip


def test_programs_without_a_server_have_the_rules_of_the_last_one(tmp_path: Path) -> None:
    assert rules_of(Settings(data_dir=tmp_path)) == OperatorRules()
    server = Settings(data_dir=tmp_path, targets=(), target_fields={"slurm": SLURM}, allow_user_targets=False)
    save(tmp_path, rules_of(server))
    assert rules_of(Settings(data_dir=tmp_path)) == rules_of(server) == load(tmp_path)
    with pytest.raises(InvalidRequest, match="5 GPUs"):
        HostClaims(tmp_path).allowed(
            route_of("c", "slurm", host="h", partition="gpu"), "k", Resources(gpus=5)
        )
    (tmp_path / "operator.json").write_text("{")
    with pytest.raises(InvalidRequest, match="cannot be read"):
        rules_of(Settings(data_dir=tmp_path))


def test_an_administrators_presets_are_kernels_that_users_cannot_change(
    at_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(providers.PROVIDERS, "toy", toy_provider.PROVIDER)
    given = NewTarget(name="queue", kind="toy", config={"python": sys.executable, "folder": str(tmp_path)})
    preset = {"name": "big", "resources": {"gpus": 4}, "price_per_hour": 8.0}

    async def body() -> None:
        async with open_lab(at_home, targets=(given,), target_presets={"queue": [preset]}) as lab:
            (found,) = (await lab.targets.get_target("queue")).presets
            assert (found.name, found.locked, found.price_per_hour) == ("big", True, 8.0)
            presets = lab.application.get(PresetsService)
            for change in (
                presets.add_preset("queue", NewPreset(name="big", resources=Resources(gpus=8))),
                presets.delete_preset("queue", "big"),
            ):
                with pytest.raises(NotAllowed, match="The administrator manages the preset 'big'"):
                    await change
            await presets.add_preset("queue", NewPreset(name="own", resources=Resources(gpus=1)))
        changed = {**preset, "resources": {"gpus": 2}}
        async with open_lab(at_home, targets=(given,), target_presets={"queue": [changed]}) as lab:
            found, own = (await lab.targets.get_target("queue")).presets
            assert found.resources == Resources(gpus=2) and (own.name, own.locked) == ("own", False)
        async with open_lab(at_home, targets=(given,)) as lab:
            assert [each.name for each in (await lab.targets.get_target("queue")).presets] == ["own"]
        dear = msgspec.structs.replace(given, price_per_hour=8.0)
        async with open_lab(at_home, targets=(dear,), max_price_per_hour=5.0) as lab:
            task = await lab.target_tests.test_target("queue")
            assert "costs 8 USD an hour" in (await lab.tasks.wait(task.id)).message

    run(body())
    assert not list(tmp_path.glob("*/asked.json"))
