"""GPUs in the words of their tools, as published for real machines (gpu_outputs/README.md names the sources)."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from genops_lab.agent import gpus
from genops_lab.agent.gpus import GpuReader, amd, apple, found, nvidia_smi, rocm_smi
from genops_lab.agent.gpus.found import Found
from tests.support.environments import find_python

OUTPUTS = Path(__file__).parent / "gpu_outputs"
MIB = 1024 * 1024


def output(name: str) -> str:
    return (OUTPUTS / name).read_text(encoding="utf-8")


# NVIDIA


def test_eight_gpus_in_use() -> None:
    answer = nvidia_smi.parse(output("nvidia-8x-v100s.xml"))
    assert answer.state == "ok" and [gpu["index"] for gpu in answer.gpus] == list(range(8))
    first = answer.gpus[0]
    assert first["name"] == "Tesla V100S-PCIE-32GB" and first["vendor"] == "nvidia"
    assert first["uuid"] == "GPU-76098dc1-d3bc-9a1b-7ea6-f7b48837829e"
    assert (first["memory_total_bytes"], first["memory_used_bytes"]) == (32510 * MIB, 31689 * MIB)
    assert (first["utilization_percent"], first["temperature_c"], first["power_w"]) == (97.0, 66.0, 232.8)
    assert [(one["pid"], one["memory_bytes"]) for one in first["processes"]] == [(37305, 31683 * MIB)]
    assert len({gpu["uuid"] for gpu in answer.gpus}) == 8
    assert all(gpu["memory_used_bytes"] <= gpu["memory_total_bytes"] for gpu in answer.gpus)


def test_mig_slices() -> None:
    answer = nvidia_smi.parse(output("nvidia-mig-a100.xml"), output("nvidia-mig-a100-list.txt"))
    (gpu,) = answer.gpus
    assert gpu["name"] == "NVIDIA A100-SXM4-80GB"
    assert gpu["utilization_percent"] is None, "N/A in MIG mode"
    assert (gpu["temperature_c"], gpu["power_w"]) == (27.0, 67.03)
    assert [(one["uuid"], one["profile"]) for one in gpu["mig"]] == [
        ("MIG-ce861fb0-a248-58ce-a9a8-f9adbc22a66a", "1g.20gb"),
        ("MIG-a45882f0-9215-5733-a0c1-49286ab31cb5", "1g.20gb"),
        ("MIG-f00d722c-f4e1-52c9-aa31-750441ae1bfe", "1g.20gb"),
        ("MIG-930574a9-d43a-5d2b-95da-3e68384c8d6b", "1g.20gb"),
    ]
    assert {(one["memory_total_bytes"], one["memory_used_bytes"]) for one in gpu["mig"]} == {
        (19968 * MIB, 12 * MIB)
    }


def test_slices_of_compute_instances() -> None:
    slices = nvidia_smi.parse_listing(output("nvidia-mig-h200-list.txt"))
    card = "GPU-00000000-0000-0000-0000-000000000000"
    assert [slices[card, index][0] for index in range(5)] == [
        "1c.3g.71gb", "2c.3g.71gb", "2g.35gb", "1g.18gb", "1g.18gb"
    ]  # fmt: skip
    assert slices[card, 4][1] == "MIG-00000004-0000-0000-0000-000000000004"


def test_a_consumer_card() -> None:
    (gpu,) = nvidia_smi.parse(output("nvidia-rtx-3080.xml")).gpus
    assert gpu["name"] == "NVIDIA GeForce RTX 3080"
    assert (gpu["memory_total_bytes"], gpu["memory_used_bytes"]) == (10240 * MIB, 1128 * MIB)
    assert (gpu["utilization_percent"], gpu["temperature_c"], gpu["power_w"]) == (0.0, 31.0, 22.78)
    assert gpu["mig"] == [], 'the XML says "None" there'
    assert [one["pid"] for one in gpu["processes"]] == [835, 1481, 2214, 4044, 42416]


def test_newer_and_older_schemas() -> None:
    (newer,) = nvidia_smi.parse(output("nvidia-rtx-4000-ada.xml")).gpus
    assert newer["power_w"] == 8.44, "what it draws now, under the name of schema 13"
    assert newer["processes"][2]["memory_bytes"] == 160 * MIB
    (older,) = nvidia_smi.parse(output("nvidia-gtx-1070-ti.xml")).gpus
    assert (older["name"], older["power_w"], older["processes"]) == ("GeForce GTX 1070 Ti", None, [])


def test_no_card_no_driver_and_a_mismatch() -> None:
    assert nvidia_smi.refusal(output("nvidia-no-devices.txt")) == Found("none")
    missing = nvidia_smi.refusal(output("nvidia-driver-missing.txt"))
    assert missing.state == "error" and "couldn't communicate with the NVIDIA driver" in missing.message
    mismatch = nvidia_smi.refusal(output("nvidia-mismatch.txt"))
    assert mismatch == Found("error", "Failed to initialize NVML: Driver/library version mismatch")
    assert nvidia_smi.refusal("").state == "error"


@pytest.mark.parametrize("text", ["<nvidia_smi_log><gpu>", "not xml", ""])
def test_an_answer_that_cannot_be_read(text: str) -> None:
    answer = nvidia_smi.parse(text)
    assert answer.state == "error" and "is invalid" in answer.message


def program(folder: Path, name: str, answers: dict[str, tuple[str, int]]) -> str:
    """A stand-in that prints a published output."""
    path = folder / name
    lines = [f"#!{sys.executable}", "import sys", "arguments = ' '.join(sys.argv[1:])"]
    for arguments, (text, code) in answers.items():
        lines.append(f"if arguments.startswith({arguments!r}): print({text!r}); sys.exit({code})")
    path.write_text("\n".join([*lines, "sys.exit(99)"]))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_program_is_asked_for_the_slices_names(tmp_path: Path) -> None:
    smi = program(
        tmp_path,
        "nvidia-smi",
        {
            "-q -x": (output("nvidia-mig-a100.xml"), 0),
            "-L": (output("nvidia-mig-a100-list.txt"), 0),
        },
    )
    (gpu,) = nvidia_smi.read(smi).gpus
    assert gpu["mig"][3]["uuid"] == "MIG-930574a9-d43a-5d2b-95da-3e68384c8d6b"


def test_the_program_refuses(tmp_path: Path) -> None:
    smi = program(tmp_path, "nvidia-smi", {"-q -x": (output("nvidia-driver-missing.txt"), 9)})
    assert nvidia_smi.read(smi).state == "error"
    none = program(tmp_path, "nvidia-smi-none", {"-q -x": (output("nvidia-no-devices.txt"), 6)})
    assert nvidia_smi.read(none) == Found("none")
    assert nvidia_smi.read(str(tmp_path / "gone")).state == "error"


# AMD


def test_rocm_smi_of_release_5() -> None:
    answer = rocm_smi.parse(output("amd-6x-mi100-rocm-5.7.json"))
    assert answer.state == "ok" and [gpu["index"] for gpu in answer.gpus] == [0, 1, 2, 3, 4, 5]
    first = answer.gpus[0]
    assert first["vendor"] == "amd" and "MI100" in first["name"]
    assert first["memory_total_bytes"] == 34342961152
    assert (first["temperature_c"], first["power_w"], first["utilization_percent"]) == (31.0, 39.0, 0.0)
    assert first["processes"] == [], "it does not say which of six cards a process uses"


def test_rocm_smi_of_release_6() -> None:
    (gpu,) = rocm_smi.parse(output("amd-rx-6700-xt-rocm-6.1.json")).gpus
    assert gpu["name"] == "Navi 22 [Radeon RX 6700/6700 XT / 6800M]"
    assert (gpu["memory_total_bytes"], gpu["memory_used_bytes"]) == (12868124672, 1572745216)
    assert (gpu["temperature_c"], gpu["power_w"], gpu["uuid"]) == (45.0, 6.0, "")


def test_rocm_smi_with_few_fields_and_warnings_before_them() -> None:
    text = "WARNING: AMD GPU device(s) is/are in a low-power state.\n" + output("amd-rx-7900-xtx-rocm.json")
    (gpu,) = rocm_smi.parse(text).gpus
    assert (gpu["name"], gpu["memory_used_bytes"], gpu["power_w"]) == ("GPU 0", 794341376, 19.0)


@pytest.mark.parametrize("text", ["", "ERROR: no module", "[]", "{", '{"system": {}}'])
def test_rocm_smi_without_cards(text: str) -> None:
    answer = rocm_smi.parse(text)
    assert answer.gpus == () and answer.state == ("none" if text.startswith('{"s') else "error")


def sysfs(root: Path) -> amd.Places:
    """The kernel's files for two cards, whose order in the compute driver is not that of their numbers, and one
    of another maker."""
    for card, minor, unique, used in ((0, 128, "2f048617326b1ea", 10850304), (2, 130, "0", 5 << 30)):
        device = root / "drm" / f"card{card}" / "device"
        monitor = device / "hwmon" / "hwmon3"
        monitor.mkdir(parents=True)
        (device / "drm" / f"renderD{minor}").mkdir(parents=True)
        for name, text in {
            "vendor": "0x1002", "device": "0x66a1", "revision": "0x06", "unique_id": unique,
            "gpu_busy_percent": "37", "mem_info_vram_total": "34342961152", "mem_info_vram_used": str(used),
        }.items():  # fmt: skip
            (device / name).write_text(f"{text}\n")
        for name, text in {
            "temp1_input": "38000", "temp1_label": "junction", "temp2_input": "36000", "temp2_label": "edge",
            "power1_average": "26000000",
        }.items():  # fmt: skip
            (monitor / name).write_text(f"{text}\n")
    (root / "drm" / "card1" / "device").mkdir(parents=True)
    (root / "drm" / "card1" / "device" / "vendor").write_text("0x8086\n")
    (root / "drm" / "card0-DP-1").mkdir()
    for node, gpu_id, minor in ((0, 0, 0), (1, 777, 130), (2, 888, 128)):
        folder = root / "kfd" / "topology" / "nodes" / str(node)
        folder.mkdir(parents=True)
        (folder / "gpu_id").write_text(f"{gpu_id}\n")
        (folder / "properties").write_text(f"cpu_cores_count 0\ndrm_render_minor {minor}\nunique_id 1\n")
    process = root / "kfd" / "proc" / str(os.getpid())
    process.mkdir(parents=True)
    (process / "vram_777").write_text(f"{4 << 30}\n")
    (process / "vram_888").write_text("0\n")
    names = root / "amdgpu.ids"
    names.write_text("# List of AMDGPU IDs\n1.0.0\n66A1,\t06,\tAMD Radeon Pro VII\n")
    return amd.Places(str(root / "drm"), str(root / "kfd"), (str(root / "none"), str(names)))


def test_the_kernels_own_files(tmp_path: Path) -> None:
    answer = amd.read(sysfs(tmp_path))
    assert answer.state == "ok"
    first, second = answer.gpus
    assert (first["index"], first["memory_used_bytes"]) == (0, 5 << 30), "the compute driver's first"
    assert (first["uuid"], second["uuid"]) == ("", "GPU-2f048617326b1ea")
    assert first["name"] == "AMD Radeon Pro VII"
    assert (first["utilization_percent"], first["temperature_c"], first["power_w"]) == (37.0, 36.0, 26.0)
    assert [(one["pid"], one["memory_bytes"]) for one in first["processes"]] == [(os.getpid(), 4 << 30)]
    assert second["processes"] == []


def test_a_name_that_the_card_has_itself_and_one_that_nobody_knows(tmp_path: Path) -> None:
    places = sysfs(tmp_path)
    (tmp_path / "drm" / "card0" / "device" / "product_name").write_text("AMD Instinct MI50\n")
    (tmp_path / "drm" / "card2" / "device" / "revision").write_text("0xff\n")
    assert [gpu["name"] for gpu in amd.read(places).gpus] == ["AMD GPU 66A1", "AMD Instinct MI50"]


def test_no_amd_card(tmp_path: Path) -> None:
    assert amd.read(amd.Places(str(tmp_path), str(tmp_path), ())) == Found("none")


# Apple


def test_apple() -> None:
    answer = apple.parse(output("apple-m3-pro.json"), 18 << 30)
    (gpu,) = answer.gpus
    assert (gpu["name"], gpu["vendor"], gpu["memory_total_bytes"]) == ("Apple M3 Pro", "apple", 18 << 30)
    assert gpu["memory_used_bytes"] is None and gpu["utilization_percent"] is None
    assert apple.parse("{}", 1).state == "error"


# All together


def test_owners_of_processes() -> None:
    import pwd

    if found.all_processes_visible():
        assert found.owner(os.getpid()) == pwd.getpwuid(os.getuid()).pw_name
    assert found.owner(2**22 + 1) == ""


def test_vendors_side_by_side_and_a_failure_beside_a_card() -> None:
    card = found.gpu(0, "amd", name="one")
    mixed = GpuReader([lambda: Found("error", "NVML is broken."), lambda: Found("ok", "", [card])]).read()
    assert (mixed.state, mixed.message, list(mixed.gpus)) == ("ok", "NVML is broken.", [card])
    assert GpuReader([lambda: Found("none"), lambda: Found("error", "Why.")]).read() == Found("error", "Why.")
    assert GpuReader([lambda: Found("none")]).read() == Found("none")


def test_a_source_without_cards_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def source() -> Found:
        asked.append(1)
        return Found("none")

    reader = GpuReader([source])
    reader.read()
    reader.read()
    assert len(asked) == 1
    monkeypatch.setattr(gpus, "RETRY_S", 0.0)
    reader.read()
    assert len(asked) == 2


def test_a_driver_that_hangs_is_asked_once() -> None:
    let_go, asked = threading.Event(), []

    def source() -> Found:
        asked.append(1)
        let_go.wait(60)
        return Found("ok", "", [found.gpu(0, "nvidia")])

    reader = GpuReader([source])
    for _ in range(2):
        answer = reader.read(timeout_s=0.05)
        assert answer.state == "error" and "no answer within 0.05 s" in answer.message
    assert len(asked) == 1
    let_go.set()
    assert reader.read(timeout_s=60).state == "ok"


def test_python_3_8_reads_the_outputs() -> None:
    """What travels to hosts runs on their Python."""
    old = find_python(8)
    if old is None:
        pytest.skip("no Python 3.8 here")
    program = (
        "import sys; from genops_lab.agent.gpus import nvidia_smi, rocm_smi, nvml, amd, apple;"
        "from genops_lab.agent.metrics import host_reading;"
        "print(len(nvidia_smi.parse(open(sys.argv[1]).read()).gpus), host_reading()['hostname'] != '')"
    )
    answer = subprocess.run(
        [str(old), "-c", program, str(OUTPUTS / "nvidia-8x-v100s.xml")],
        capture_output=True, text=True, check=True, timeout=60, cwd=Path(gpus.__file__).parents[3],
    )  # fmt: skip
    assert answer.stdout.split() == ["8", "True"]
