"""The binding of NVIDIA's library, on a fake of it made by the C compiler (no driver is where these tests run)."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.agent.gpus import Nvidia, found, nvml
from genops_lab.agent.gpus.nvml import Nvml

HERE = Path(__file__).parent
MIB = 1024 * 1024
Load = Callable[..., ctypes.CDLL]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("fake-nvml")

    def build(flag: str) -> Path:
        library = folder / f"libfake-nvml{flag}.so"
        if not library.exists():
            command = [compiler, "-shared", "-fPIC", "-o", str(library), str(HERE / "fake_nvml.c")]
            subprocess.run([*command, *([flag] if flag else [])], check=True, capture_output=True)
        return library

    return build


@pytest.fixture
def fake(compiled: Callable[[str], Path], tmp_path: Path) -> Iterator[Load]:
    """Loads a library of its own for each test: what a test sets stays with it."""

    def load(flag: str = "", **settings: int) -> ctypes.CDLL:
        own = tmp_path / f"lib{len(os.listdir(tmp_path))}.so"
        shutil.copy(compiled(flag), own)
        library = ctypes.CDLL(str(own))
        for name, value in settings.items():
            setting(library, name).value = value
        return library

    yield load


def setting(library: ctypes.CDLL, name: str) -> Any:
    return ctypes.c_int.in_dll(library, name)


def test_eight_cards(fake: Load) -> None:
    library = fake(cards=8)
    reader = Nvml(library)
    answer = reader.read()
    assert answer.state == "ok" and len(answer.gpus) == 8
    assert [gpu["index"] for gpu in answer.gpus] == list(range(8))
    last = answer.gpus[7]
    assert (last["uuid"], last["name"], last["vendor"]) == ("GPU-7", "NVIDIA H100 80GB HBM3", "nvidia")
    assert (last["memory_total_bytes"], last["memory_used_bytes"]) == (81559 * MIB, 1000 * MIB)
    assert (last["utilization_percent"], last["temperature_c"], last["power_w"]) == (97.0, 52.0, 432.25)
    assert last["mig"] == []
    reader.read()
    assert setting(library, "inits").value == 1, "the driver is opened once"


def test_processes_that_both_lists_name_count_once_and_unknown_memory_is_none(fake: Load) -> None:
    (gpu,) = Nvml(fake()).read().gpus
    assert [(one["pid"], one["memory_bytes"]) for one in gpu["processes"]] == [(100, 1000 * MIB), (101, None)]


def test_more_processes_than_fit_at_first(fake: Load) -> None:
    (gpu,) = Nvml(fake(processes=1000)).read().gpus
    assert len(gpu["processes"]) == 1000
    assert gpu["processes"][999] == {
        "pid": 1099, "user": found.owner(1099), "memory_bytes": 1000 * 1000 * MIB
    }  # fmt: skip


def test_mig(fake: Load) -> None:
    (gpu,) = Nvml(fake(mig=1)).read().gpus
    assert gpu["utilization_percent"] is None, "NVIDIA does not tell it for a card in MIG mode"
    assert [(one["uuid"], one["profile"]) for one in gpu["mig"]] == [
        ("MIG-0", "3g.40gb"),
        ("MIG-1", "1g.10gb"),
        ("MIG-2", "1c.2g.20gb"),
    ]
    assert gpu["mig"][0]["memory_total_bytes"] == 9984 * MIB
    assert [one["pid"] for one in gpu["processes"]] == [100, 101], "found behind the slice"


def test_a_card_that_cannot_be_sliced(fake: Load) -> None:
    (gpu,) = Nvml(fake(mig=-1)).read().gpus
    assert gpu["mig"] == []


def test_an_old_driver(fake: Load) -> None:
    (gpu,) = Nvml(fake("-DOLD")).read().gpus
    assert (gpu["memory_total_bytes"], gpu["memory_used_bytes"]) == (81559 * MIB, 1500 * MIB)
    assert [(one["pid"], one["memory_bytes"]) for one in gpu["processes"]] == [(100, 1000 * MIB), (101, None)]
    assert gpu["mig"] == []


@pytest.mark.parametrize("code", [3, 4], ids=["not supported", "no permission"])
def test_a_card_without_utilisation(fake: Load, code: int) -> None:
    (gpu,) = Nvml(fake(utilization_code=code)).read().gpus
    assert gpu["utilization_percent"] is None and gpu["temperature_c"] == 52.0


def test_a_driver_without_cards(fake: Load, tmp_path: Path) -> None:
    library = fake(cards=0)
    assert Nvidia(lambda: library, pci=str(tmp_path / "none")).read().state == "none"


def test_a_mismatch_says_what_to_do_and_a_restart_heals_it(fake: Load, tmp_path: Path) -> None:
    library = fake(init_code=nvml.LIB_RM_VERSION_MISMATCH)
    nvidia = Nvidia(lambda: library)
    answer = nvidia.read()
    assert answer.state == "error"
    assert answer.message.startswith("Failed to initialize NVML: Driver/library version mismatch.")
    assert "restart the host" in answer.message
    setting(library, "init_code").value = 999
    assert nvidia.read() == (
        "error", "The NVIDIA driver does not answer: Unknown Error. Run `nvidia-smi` on the host for more.", ()
    )  # fmt: skip
    setting(library, "init_code").value = 0
    assert nvidia.read().state == "ok"


def test_a_card_that_falls_off_the_bus(fake: Load) -> None:
    library = fake()
    nvidia = Nvidia(lambda: library)
    assert nvidia.read().state == "ok"
    setting(library, "lost").value = 1
    answer = nvidia.read()
    assert answer.state == "error" and "GPU is lost" in answer.message
    assert setting(library, "shutdowns").value == 1, "the driver is let go of, to be opened anew"
    setting(library, "lost").value = 0
    assert nvidia.read().state == "ok"


def bus(folder: Path, vendor: str, kind: str) -> str:
    device = folder / "0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text(f"{vendor}\n")
    (device / "class").write_text(f"{kind}\n")
    (device / "device").write_text("0x2330\n")
    return str(folder)


def test_a_module_that_is_not_loaded(fake: Load, tmp_path: Path) -> None:
    library = fake(init_code=nvml.DRIVER_NOT_LOADED)
    none = Nvidia(lambda: library, pci=str(tmp_path / "none"))
    assert none.read() == ("none", "", ())
    card = Nvidia(lambda: library, pci=bus(tmp_path / "pci", "0x10de", "0x030200"))
    answer = card.read()
    assert answer.state == "error" and "10de:2330" in answer.message and "not loaded" in answer.message


def test_no_driver_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genops_lab.agent.gpus.nvidia_smi.find", lambda: None)
    card = Nvidia(lambda: None, pci=bus(tmp_path / "a", "0x10de", "0x030200")).read()
    assert card.state == "error" and "No NVIDIA driver is installed" in card.message
    sound = Nvidia(lambda: None, pci=bus(tmp_path / "b", "0x10de", "0x040300")).read()
    assert sound.state == "none", "the sound device of a card that is passed through is no GPU"
    other = Nvidia(lambda: None, pci=bus(tmp_path / "c", "0x8086", "0x030000")).read()
    assert other.state == "none"


def test_a_container_that_was_given_none_of_the_hosts_cards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "version").write_text("NVRM version: 590.48\n")
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr("genops_lab.agent.gpus.nvidia_smi.find", lambda: None)
    monkeypatch.setattr("genops_lab.agent.gpus.DRIVER", str(tmp_path / "version"))
    monkeypatch.setattr("genops_lab.agent.gpus.DEVICES", str(tmp_path / "nvidia[0-9]*"))
    monkeypatch.setattr("genops_lab.agent.gpus.all_processes_visible", lambda: False)
    nvidia = Nvidia(lambda: None, pci=bus(tmp_path / "pci", "0x10de", "0x030200"))
    assert nvidia.read() == ("none", "", ())
    monkeypatch.setattr("genops_lab.agent.gpus.all_processes_visible", lambda: True)
    assert nvidia.read().state == "error", "no container: half of a driver is there"
    monkeypatch.setattr("genops_lab.agent.gpus.all_processes_visible", lambda: False)
    (tmp_path / "nvidia0").touch()
    assert nvidia.read().state == "error", "the card was given, the library was not"


def test_a_real_driver_has_the_functions() -> None:
    exported = set((HERE / "gpu_outputs" / "nvml-symbols-590.48.txt").read_text().split())
    used = set(re.findall(r'"(nvml\w+)"', Path(nvml.__file__).read_text()))
    processes = {"nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"}
    assert len(used) >= 14 and processes <= used
    assert used - exported == set()
    assert {f"{name}_v2" for name in processes} <= exported


def test_the_machine_itself() -> None:
    """Whatever this machine has: an answer, and never an exception."""
    answer = Nvidia().read()
    assert answer.state in ("ok", "none", "error")
    assert bool(answer.gpus) == (answer.state == "ok")
