"""Named resources of a target's hosts, through the services of a Lab."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.hosts import capacity, providers
from genops_lab.hosts.link.errors import LinkError
from genops_lab.hosts.link.route import Route
from genops_lab.hosts.models import (
    BestFitQuery,
    KeptRequest,
    NewPreset,
    NewTarget,
    NextStart,
    Preset,
    RemoveQuery,
    RequestQuery,
)
from genops_lab.hosts.presets import PresetsService
from genops_lab.hosts.providers.base import Capacity, GpuKind, Resources
from genops_lab.hosts.resources import words_of
from genops_lab.hosts.templates import TemplatesService
from tests.support import toy_provider
from tests.support.homes import Home

from .labs import open_lab, run


def test_presets_keep_within_the_limits_and_are_kernels(
    at_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(providers.PROVIDERS, "toy", toy_provider.PROVIDER)
    limits = {"toy": {"gpus": {"maximum": 4}, "time_s": {"maximum": 7200}}}

    async def body() -> None:
        async with open_lab(at_home, target_fields=limits) as lab:
            config = {"python": sys.executable, "folder": str(tmp_path)}
            await lab.targets.add_target(NewTarget(name="queue", kind="toy", config=config))
            await lab.targets.add_target(NewTarget(name="queue.2-gpus", kind="toy", config=config))
            presets = lab.application.get(PresetsService)
            fields = {each.name: each for each in (await presets.get_resource_form("queue")).fields}
            assert fields["gpus"].maximum == 4 and fields["gpus"].administered == ["maximum"]
            with pytest.raises(InvalidRequest, match="A host with 5 GPUs cannot") as refused:
                await presets.add_preset("queue", NewPreset(resources=Resources(gpus=5)))
            assert "0 GPUs to 4 GPUs" in refused.value.hint
            with pytest.raises(InvalidRequest, match="3 h cannot"):
                start = NextStart(notebook="a.ipynb", resources=Resources(time_s=10800))
                await lab.remote_kernels.choose_next_start("queue", start)
            with pytest.raises(InvalidRequest, match="names no resource"):
                await presets.add_preset("queue", NewPreset(resources=Resources()))
            with pytest.raises(InvalidRequest, match="valid name of a preset"):
                await presets.add_preset("queue", NewPreset(name="../x", resources=Resources(gpus=1)))
            with pytest.raises(Conflict, match="exists already"):  # a target has the name of its kernel
                await presets.add_preset("queue", NewPreset(resources=Resources(gpus=2)))
            body = NewPreset(resources=Resources(gpus=1, gpu_type="H100", time_s=3600))
            added = await presets.add_preset("queue", body)
            assert added == Preset(
                name="1 x H100, 1 h", kernel_name="genops-queue.1-x-h100-1-h", resources=body.resources
            )
            assert (await lab.targets.get_target("queue")).presets == [added]
            assert (await lab.targets.get_target("queue.2-gpus")).presets == []
            spec = KernelSpecManager().get_kernel_spec(added.kernel_name)
            assert spec.display_name == "Python 3 (queue: 1 x H100, 1 h)"
            assert spec.env == {
                "GENOPS_GPUS": "1", "GENOPS_GPU_TYPE": "H100", "GENOPS_TIME_S": "3600",
            }  # fmt: skip
            with pytest.raises(NotFound, match="has no preset"):
                await presets.delete_preset("queue", "another")
            second = await presets.add_preset("queue", NewPreset(name="big", resources=Resources(gpus=4)))
            await presets.delete_preset("queue", added.name)
            assert (await lab.targets.get_target("queue")).presets == [second]
            await lab.targets.remove_target("queue", RemoveQuery())
            assert (
                set(KernelSpecManager().find_kernel_specs()) & {added.kernel_name, second.kernel_name}
                == set()
            )

    run(body())


def test_a_cluster_is_asked_what_is_free_by_a_person_alone(
    at_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    class Counted(toy_provider.ToyProvider):
        async def capacity(self, target: Route, *, connect: bool) -> Capacity:
            asked.append(connect)
            if len(asked) > 1:
                raise LinkError("The queue is away.", hint="Wait.")
            return Capacity(gpus=[GpuKind(kind="h100", free=1, total=2, on_one_host=1)], waiting=0)

    monkeypatch.setitem(providers.PROVIDERS, "toy", Counted())

    async def body() -> None:
        async with open_lab(at_home) as lab:
            config = {"python": sys.executable, "folder": str(tmp_path)}
            added = await lab.targets.add_target(NewTarget(name="queue", kind="toy", config=config))
            assert (await lab.targets.list_targets())[0].capacity is None and asked == []
            assert added.capacity is None
            found = await lab.targets.look_at_capacity("queue")
            assert found.capacity and found.capacity.waiting == 0 and found.capacity_age_s is not None
            fit = await lab.targets.best_fit(BestFitQuery(memory_bytes=40 * 1024**3))
            assert (fit.target, fit.resources) == ("queue", Resources(gpus=1, gpu_type="h100"))
            assert asked == [True], "an answer of a moment ago counts"
            monkeypatch.setattr(capacity, "FRESH_S", -1.0)
            await lab.targets.list_targets()  # watched, after a person asked: it is asked again, unconnected
            await lab.targets.look_at_capacity("queue")
            assert asked[:2] == [True, False]
            known = (await lab.targets.get_target("queue")).capacity
            assert known == Capacity(note="The queue is away."), "not known, and why"

    run(body())


def test_resources_in_words() -> None:
    resources = Resources(gpus=2, gpu_type="H100", cpus=1, memory_bytes=64 * 1024**3, time_s=5400)
    assert words_of(resources) == "2 x H100, 1 CPU, 64 GiB, 1.5 h"
    assert words_of(Resources(gpus=1)) == "1 GPU" and words_of(Resources()) == ""


def test_an_edited_manifest_is_checked_and_kept_as_the_targets_template(at_home: Home) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            config = {"context": "none", "image": "team/train:1", "python": "python3"}
            await lab.targets.add_target(NewTarget(name="cluster", kind="kubernetes", config=config))
            await lab.targets.add_target(NewTarget(name="here", kind="ssh", config={"host": "login1"}))
            presets, templates = (lab.application.get(each) for each in (PresetsService, TemplatesService))
            first = await presets.get_request("cluster", RequestQuery())
            assert (first.language, first.template, first.can_keep) == ("yaml", "", True)
            chosen = await presets.get_request("cluster", RequestQuery(gpus=3))
            assert "nvidia.com/gpu: '3'" in chosen.text.replace('"', "'") and "nvidia" not in first.text
            edited = first.text.replace("spec:\n", "spec:\n  hostname: mine\n", 1)
            kept = await templates.keep_request("cluster", KeptRequest(text=edited))
            file = at_home.data / "templates" / "cluster.yaml"
            assert "hostname: mine" in kept.text and kept.template == str(file)
            assert file.read_text() == edited and file.stat().st_mode & 0o777 == 0o600
            for text, said, line in (
                (
                    edited.replace("hostname: mine", "hostname: [mine"),
                    r"Line \d+ of the pod template is not",
                    True,
                ),
                ("kind: Deployment", "The text is not a Pod manifest.", False),
                ("kind: Pod\nspec:\n  containers: {a: 1}\n", "no list of containers", False),
            ):
                with pytest.raises(InvalidRequest, match=said) as refused:
                    await templates.keep_request("cluster", KeptRequest(text=text))
                assert refused.value.hint and ("line" in refused.value.details) == line
                assert file.read_text() == edited and [*file.parent.iterdir()] == [file]
            none = await templates.keep_request("cluster", KeptRequest(text=" "))
            assert none == first and not file.exists()
            await templates.keep_request("cluster", KeptRequest(text=edited))
            await lab.targets.remove_target("cluster", RemoveQuery())
            assert not file.exists()
            await lab.targets.add_target(NewTarget(name="jobs", kind="slurm", config={"host": "login1"}))
            script = (await presets.get_request("jobs", RequestQuery())).text
            edited = script.replace("#!/bin/bash\n", "#!/bin/bash\n# mine\n", 1)
            kept = await templates.keep_request("jobs", KeptRequest(text=edited))
            assert kept.language == "shell" and "# mine" in kept.text.splitlines()
            assert kept.template == str(file.with_name("jobs.sh"))
            with pytest.raises(InvalidRequest, match="Line 2 of the batch script") as refused:
                await templates.keep_request("jobs", KeptRequest(text="#!/bin/bash\nexit 0\n"))
            assert refused.value.details == {"line": 2}
            with pytest.raises(InvalidRequest, match="here takes no template"):
                await templates.keep_request("here", KeptRequest(text="x"))

    run(body())
