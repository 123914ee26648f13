"""Each manifest that GenOps Lab sends or prints, against the published schemas of Kubernetes 1.30 to 1.37."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from genops_lab.hosts.providers.base import Resources
from genops_lab.hosts.providers.kubernetes import manifest, role
from genops_lab.hosts.providers.kubernetes.config import KubernetesConfig
from tests.support.kubernetes_schemas import VERSIONS, faults

PLAIN: dict[str, Any] = {"context": "lab", "namespace": "team", "image": "team/train:1"}
OPTIONS: dict[str, dict[str, Any]] = {
    "gpus": {"gpus": 2, "gpu_type": "NVIDIA-H100-80GB-HBM3"},
    "sizes": {"cpus": 1.5, "memory": "16Gi", "ephemeral_storage": "10Gi", "shared_memory": "8Gi", "hours": 0.5},
    "volumes": {"volumes": "data:/data, models:/models:ro", "home": "/data/home", "cache": "/models/hf"},
    "journal": {"journal_claim": "journals"},
    "place": {"node_selector": "pool=gpu", "tolerations": "nvidia.com/gpu, spot=true, a=b:NoSchedule"},
    "classes": {"runtime_class": "nvidia", "priority_class": "low", "service_account": "trainer", "queue": "gpus"},
    "pull secrets": {"pull_secrets": "registry, other"},
    "restricted": {"restricted": True, "run_as": 1000},
}  # fmt: skip
TEMPLATE: dict[str, Any] = yaml.safe_load("""
apiVersion: v1
kind: Pod
metadata: {labels: {team: vision}, annotations: {note: x}}
spec:
  securityContext: {supplementalGroups: [4000]}
  topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}
  initContainers:
  - {name: proxy, image: envoy, restartPolicy: Always}
  resourceClaims: [{name: gpu, resourceClaimTemplateName: one-gpu}]
  containers:
  - {name: side, image: busybox}
  - name: kernel
    image: team/train:2
    args: [ignored]
    env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}, {name: HOME, value: /root}]
    resources: {limits: {nvidia.com/gpu: 4}, claims: [{name: gpu}]}
    volumeMounts: [{name: scratch, mountPath: /scratch}]
  volumes: [{name: scratch, ephemeral: {volumeClaimTemplate: {spec: {
    accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}]
""")


def pod(template: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    config = KubernetesConfig(**{**PLAIN, **options})
    return manifest.pod(config, "cluster", "one", Resources(), template)


def every_manifest(version: str = VERSIONS[-1]) -> dict[str, dict[str, Any]]:
    template = deepcopy(TEMPLATE)
    if version == "1.30":  # where the name of a claim's template had another place
        del template["spec"]["resourceClaims"]
    everything = {name: value for option in OPTIONS.values() for name, value in option.items()}
    asked = Resources(gpus=1, gpu_type="L4", cpus=2.0, memory_bytes=1 << 30, time_s=60.0)
    made = {name: pod(**option) for name, option in OPTIONS.items()}
    made.update({"plain": pod(), "a template": pod(template), "everything": pod(template, **everything)})
    made["resources of a start"] = manifest.pod(KubernetesConfig(**PLAIN), "cluster", "one", asked)
    # What was printed is a template again.
    made["a printed one"] = pod(deepcopy(made["everything"]), **everything)
    made["a reader of a journal"] = manifest.reader(made["everything"])
    printed = yaml.safe_load_all(role.text_of(KubernetesConfig(**PLAIN)))
    made.update({each["kind"]: each for each in printed if each})
    return made


@pytest.mark.parametrize("version", VERSIONS)
def test_each_manifest_is_valid(version: str) -> None:
    found = {name: faults(each, version) for name, each in every_manifest(version).items()}
    assert not {name: each for name, each in found.items() if each}


def test_each_field_of_a_target_is_among_them() -> None:
    tried = {*PLAIN, *(name for option in OPTIONS.values() for name in option)}
    here = {"connection", "gpu_label", "gpu_resource", "kubeconfig", "pod_template", "python"}
    assert {field.name for field in msgspec.structs.fields(KubernetesConfig)} == tried | here


@pytest.mark.parametrize("version", VERSIONS)
def test_an_unknown_field_a_wrong_type_and_a_lack_are_found(version: str) -> None:
    wrong = pod()
    kernel = wrong["spec"]["containers"][0]
    kernel["resource"] = kernel.pop("resources")
    kernel["volumeMounts"][0]["readOnly"] = "yes"
    del wrong["spec"]["containers"][1]["name"]
    wrong["spec"]["nodeName"] = None
    found = " ".join(faults(wrong, version))
    for words in ("'resource' was unexpected", "'yes' is not of type", "'name' is a required", "None is not"):
        assert words in found


def test_the_reader_of_a_journal_asks_for_little_and_runs_anywhere() -> None:
    given = {"journal_claim": "journals", "volumes": "data:/data", "gpus": 2, "node_selector": "a=b"}
    made = manifest.reader(pod(deepcopy(TEMPLATE), **given))
    (container,) = made["spec"]["containers"]
    assert "nvidia.com/gpu" not in str(made) and not {"nodeSelector", "resourceClaims"} & set(made["spec"])
    claims = [
        each["persistentVolumeClaim"] for each in made["spec"]["volumes"] if "persistentVolumeClaim" in each
    ]
    assert claims == [{"claimName": "journals"}]
    (journal,) = (each for each in container["volumeMounts"] if "subPath" in each)
    assert journal["subPath"] == "genops/" + manifest.kernel_pod(made["metadata"]["name"])


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare")
@pytest.mark.parametrize("had_a_kernel", [False, True])
def test_a_pod_that_nothing_uses_ends_unless_it_had_a_kernel(tmp_path: Path, had_a_kernel: bool) -> None:
    """The first process of the kernel's container, in a process namespace of its own, with short pauses."""
    if had_a_kernel:
        (tmp_path / "state" / "kernels").mkdir(parents=True)
    program = (manifest.HOLD % 0).replace("/genops", str(tmp_path)).replace("sleep 20", "sleep 0.02")
    command = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child", "/bin/sh", "-c", program]
    with subprocess.Popen(command, env={"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}) as process:
        alive = tmp_path / "alive"
        deadline = time.monotonic() + 60
        while process.poll() is None and not (alive.exists() and int(alive.read_text() or 0) > 60):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert process.poll() == (None if had_a_kernel else 0)
        process.kill()
