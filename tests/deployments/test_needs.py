"""What a start needs, what its machine has free, and what would do instead."""

from __future__ import annotations

from genops_lab.deployments.models import DeployCheck, ModelFile
from genops_lab.deployments.needs import Demanded, needs_of
from genops_lab.deployments.targets.base import Machine
from genops_lab.serving.engines.memory import GpuNeed

CHECK = DeployCheck(
    model="tuned",
    version="1",
    trusted=True,
    reason="",
    flavors=[],
    loader="",
    holds_pickle=False,
    files=[ModelFile(path="model.safetensors", size_bytes=40 * 2**30, sha256="")],
    digest="",
    environment="present",
    missing_requirements=[],
    outlives_server=True,
)


def test_what_a_start_needs_and_what_would_do_instead_are_one_sentence() -> None:
    machine = Machine(name="gpu-box", free_bytes=64 * 2**30, gpus=(80 * 2**30, 2**30))
    serving = {"engine": "vllm", "settings": {"tensor_parallel": 2}}
    need = GpuNeed(weights=40 * 2**30, cache=0, context=0, count=2, share=0.8, free=machine.gpus)
    needs = needs_of(machine, CHECK, serving, need, Demanded(), 92.4)
    planned = needs.update("chat", 4, 3)
    assert not planned.fits and (planned.needs_gpus, planned.free_gpus) == (2, 1)
    assert planned.message == (
        "Revision 4 needs about 300.0 MiB of memory and 2 GPUs with 25.0 GiB free each; gpu-box has 64.0 GiB and 1 GPU "
        "free: replace revision 3 first with about 92 s of downtime, or use a smaller model or another target."
    )
    hidden = needs_of(Machine(name="gpu-box"), CHECK, serving, None, Demanded(), 0.0)
    assert hidden.fits, "a container may hide its GPUs"
    assert not needs_of(Machine(name="gpu-box"), CHECK, None, None, Demanded(gpus=1), 0.0).fits
    plain = needs_of(machine, CHECK, None, None, Demanded(), 12.0)
    assert plain.fits and plain.first_start() == (
        "It needs about 40.3 GiB of memory; gpu-box has 64.0 GiB free. The model loaded in about 12 s the last time."
    )


def test_several_workers_need_their_memory_each() -> None:
    machine = Machine(name="this machine", free_bytes=2**40)
    one, three = (
        needs_of(machine, CHECK, None, None, Demanded(), 0.0, processes=processes) for processes in (1, 3)
    )
    assert three.memory_bytes == 3 * one.memory_bytes
