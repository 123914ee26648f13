"""The best fit: memory first, then who is idle, then the price, then the smallest that suffices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from genops_lab.agent.gpus import nvidia_smi
from genops_lab.hosts.best_fit import Place, best_fit, fit_of
from genops_lab.hosts.cluster_fit import memory_of
from genops_lab.hosts.models import BestFit, BestFitQuery, HostGpu, HostReading, MigSlice, Preset, Target
from genops_lab.hosts.providers.base import Capacity, GpuKind, Resources

OUTPUTS = Path(__file__).parents[1] / "agent" / "gpu_outputs"
GIB = 1024**3


def gpu(index: int = 0, total: int = 80, used: int = 0, **changes: Any) -> HostGpu:
    fields = {
        "index": index, "uuid": f"GPU-{index}", "name": f"{total} GB card", "memory_total_bytes": total * GIB,
        "memory_used_bytes": used * GIB, "utilization_percent": 0.0, **changes,
    }  # fmt: skip
    return HostGpu(**fields)


def place(target: str, *gpus: HostGpu, price: float | None = None, **changes: Any) -> Place:
    return Place(target, HostReading(hostname=target, gpus=list(gpus), sampled_at=0.0, **changes), price)


def fit(*places: Place, gb: int = 24, count: int = 1) -> BestFit:
    return best_fit(places, gb * GIB, count)


def test_only_what_has_the_memory_free() -> None:
    found = fit(place("full", gpu(total=80, used=70)), place("busy", gpu(total=40, utilization_percent=90.0)))
    assert (found.target, found.gpus) == ("busy", [0])
    assert found.kernel_name == "genops-busy"


def test_exactly_enough_is_enough() -> None:
    assert fit(place("a", gpu(total=24)), gb=24).target == "a"
    assert fit(place("a", gpu(total=24, used=1)), gb=24).target == ""


def test_the_idle_one() -> None:
    found = fit(place("a", gpu(0, utilization_percent=60.0), gpu(1, utilization_percent=2.0)))
    assert found.gpus == [1]
    assert found.environment == {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert "GPU 1 (80 GB card): 80.0 GiB free, idle (2 %)" in found.reason


def test_the_cheaper_of_two_idle_ones_and_ones_own_before_both() -> None:
    dear, cheap, own = place("dear", gpu(), price=4.0), place("cheap", gpu(), price=1.5), place("own", gpu())
    assert fit(dear, cheap).target == "cheap"
    assert "1.5 USD an hour" in fit(dear, cheap).reason
    assert fit(dear, cheap, own).target == "own"


def test_an_idle_one_before_a_cheap_one() -> None:
    cheap, dear = place("cheap", gpu(utilization_percent=70.0), price=1.0), place("dear", gpu(), price=4.0)
    assert fit(cheap, dear).target == "dear"


def test_the_smallest_that_suffices_and_the_emptier_of_equals() -> None:
    assert fit(place("large", gpu(total=192)), place("small", gpu(total=32))).target == "small"
    assert fit(place("a", gpu(0, used=10), gpu(1, used=4))).gpus == [1]


def test_several_of_one_target() -> None:
    two = place("two", gpu(0), gpu(1, used=70), gpu(2), gpu(3, utilization_percent=50.0))
    one = place("one", gpu(0, total=40))
    found = fit(one, two, count=2)
    assert (found.target, found.gpus, found.cuda_visible_devices) == ("two", [0, 2], "0,2")
    assert fit(one, two, count=3).gpus == [0, 2, 3]
    none = fit(one, two, count=4)
    assert none.target == "" and none.reason == "No target has 4 GPUs with 24.0 GiB free on each."


def test_a_mig_slice_by_its_uuid() -> None:
    slices = [
        MigSlice(uuid="MIG-a", profile="1g.10gb", memory_total_bytes=10 * GIB, memory_used_bytes=0),
        MigSlice(uuid="MIG-b", profile="3g.40gb", memory_total_bytes=40 * GIB, memory_used_bytes=9 * GIB),
        MigSlice(uuid="MIG-c", profile="3g.40gb", memory_total_bytes=40 * GIB, memory_used_bytes=0),
    ]
    card = gpu(mig=slices, utilization_percent=None)
    found = fit(place("a", card))
    assert (found.cuda_visible_devices, found.gpus) == ("MIG-c", [0])
    assert found.environment == {"CUDA_VISIBLE_DEVICES": "MIG-c"}
    assert "slice 3g.40gb of GPU 0" in found.reason and "not in use" in found.reason
    assert fit(place("a", card), count=2).target == "", "CUDA uses one slice a process"
    assert fit(place("a", card), gb=60).target == "", "the card itself is not to be had"


def test_amd_and_apple() -> None:
    found = fit(place("a", gpu(3, vendor="amd")))
    assert found.environment == {"HIP_VISIBLE_DEVICES": "3"} and found.cuda_visible_devices == "3"
    chip = gpu(vendor="apple", total=64, memory_used_bytes=None, utilization_percent=None)
    mac = fit(place("mac", chip, memory_used_bytes=20 * GIB))
    assert (mac.target, mac.environment, mac.cuda_visible_devices) == ("mac", {}, "")
    assert fit(place("mac", chip), gb=24).target == "", "what is free there is not known"


def test_vendors_are_not_mixed() -> None:
    assert fit(place("a", gpu(0), gpu(0, vendor="amd")), count=2).target == ""


@pytest.mark.parametrize("places", [[], [place("cpu")], [place("mute", gpu(memory_used_bytes=None))]])
def test_nothing_to_choose_from(places: list[Place]) -> None:
    found = fit(*places)
    assert found.target == "" and found.reason == "No connected target reports the memory of a GPU."


def test_how_far_off_the_best_one_was() -> None:
    found = fit(place("a", gpu(total=16)), place("b", gpu(total=20, used=2)))
    assert found.reason == (
        "No target has a GPU with 24.0 GiB free: the most is 18.0 GiB on b, GPU 0 (20 GB card)."
    )


def test_eight_real_gpus_in_use() -> None:
    cards = nvidia_smi.parse((OUTPUTS / "nvidia-8x-v100s.xml").read_text()).gpus
    host = place("dgx", *(msgspec.convert(card, HostGpu) for card in cards))
    least = min(cards, key=lambda card: card["memory_used_bytes"])
    assert fit(host, gb=24).target == "", "each holds some 29 GiB of 32"
    found = fit(host, gb=2)
    free = [card["memory_total_bytes"] - card["memory_used_bytes"] for card in cards]
    assert found.target == "dgx" and free[found.gpus[0]] >= 2 * GIB
    assert max(free) == least["memory_total_bytes"] - least["memory_used_bytes"]


def target(name: str, **changes: Any) -> Target:
    fields = {
        "name": name, "kind": "ssh", "host": name, "python": "python3", "carrier": "auto", "state": "up",
        "kernel_name": f"genops-{name}", "reading": place(name, gpu()).reading, "reading_age_s": 1.0, **changes,
    }  # fmt: skip
    return Target(**fields)


def test_targets_that_are_not_connected_are_named_and_left_out() -> None:
    found = fit_of(
        [
            target("old", reading_age_s=3600.0),
            target("down", state="down"),
            target("never", state="idle", reading=None, reading_age_s=None),
            target("here", kind="local", is_this_machine=True, state="idle"),
        ],
        BestFitQuery(memory_bytes=24 * GIB),
    )
    assert found.target == "here"
    assert found.reason.endswith("Ignored because they are not connected: old, down, never.")


def cluster(name: str, *kinds: tuple[str, int, int, int], waiting: int | None = 0, **changes: Any) -> Target:
    """A cluster with kinds of GPU: the name, the free ones, all, and the most on one host."""
    gpus = [GpuKind(kind=kind, free=free, total=total, on_one_host=most) for kind, free, total, most in kinds]
    known = Capacity(gpus=gpus, waiting=waiting)
    own = {"kind": "slurm", "allocates": True, "state": "idle", "reading": None, "capacity": known}
    return target(name, **{**own, **changes})


def need(gb: int = 40, count: int = 1) -> BestFitQuery:
    return BestFitQuery(memory_bytes=gb * GIB, count=count)


def test_a_cluster_with_a_free_gpu_of_the_smallest_kind_that_suffices() -> None:
    both = cluster("both", ("a100", 4, 4, 4), ("h100", 3, 8, 2), ("h200", 8, 8, 8))
    found = fit_of([both], need(40))
    assert (found.target, found.kernel_name) == ("both", "genops-both")
    assert found.resources == Resources(gpus=1, gpu_type="h100") and found.environment == {}
    assert found.reason == "both: 3 of 8 h100 free, nobody waits."
    assert fit_of([both], need(20)).resources.gpu_type == "a100"
    # Three are free, but a host is one node.
    assert fit_of([both], need(40, count=3)).resources == Resources(gpus=3, gpu_type="h200")


def test_a_preset_with_its_price() -> None:
    preset = Preset(
        name="big",
        kernel_name="genops-a.big",
        resources=Resources(gpus=1, gpu_type="H100"),
        price_per_hour=2.0,
    )
    dear = cluster("a", ("h100", 1, 8, 1), presets=[preset], price_per_hour=9.0)
    found = fit_of([dear, cluster("b", ("h100", 1, 8, 1), price_per_hour=3.0)], need())
    assert (found.target, found.preset, found.kernel_name) == ("a", "big", "genops-a.big")
    assert found.resources == Resources() and "Price: 2 USD an hour." in found.reason


def test_an_idle_gpu_elsewhere_before_a_queue_and_a_free_cluster_before_a_busy_gpu() -> None:
    idle = target("idle", reading=place("idle", gpu()).reading, price_per_hour=9.0)
    busy = target("busy", reading=place("busy", gpu(utilization_percent=90.0)).reading)
    queued, free = cluster("queued", ("h100", 2, 8, 2), waiting=3), cluster("free", ("h100", 2, 8, 2))
    assert fit_of([idle, queued], need()).target == "idle"
    assert fit_of([busy, free], need()).target == "free"
    assert fit_of([idle, free], need()).target == "free", "nobody waits, and the cluster costs nothing"


def test_where_nothing_is_free_the_shortest_queue() -> None:
    full = [
        cluster(name, ("h100", 0, 8, 0), waiting=count) for name, count in (("a", 7), ("b", 1), ("c", None))
    ]
    found = fit_of(full, need())
    assert found.target == "b"
    assert found.reason == "Nothing that fits is free now. The shortest queue: b: 0 of 8 h100 free, 1 waits."


def test_what_is_not_known_is_said_and_not_chosen() -> None:
    silent = cluster("silent", capacity=Capacity(note="Away."))
    unheard, nameless = cluster("unheard", capacity=None), cluster("nameless", ("", 8, 8, 8))
    found = fit_of([silent, unheard, nameless], need())
    assert found.target == ""
    assert "Free GPUs are not known on: silent, unheard." in found.reason
    assert "nameless does not say how much memory its GPUs have" in found.reason


@pytest.mark.parametrize(
    ("kind", "gb"),
    [
        ("h100", 80),
        ("NVIDIA-A100-SXM4-40GB", 40),
        ("a100_80gb", 80),
        ("MI300X", 192),
        ("l40s", 48),
        ("l4", 24),
    ],
)
def test_the_memory_of_a_kind(kind: str, gb: int) -> None:
    assert memory_of(kind) == int(gb * 0.92 * GIB)


def test_a_kind_without_a_known_memory() -> None:
    assert memory_of("") is None and memory_of("teslaX") is None
