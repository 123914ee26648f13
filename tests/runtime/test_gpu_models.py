"""GPUs by name and driver, from what nvidia-smi prints (its form as NVIDIA documents ``--format=csv,noheader``)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from genops_lab.runtime.provenance import gpu_models
from genops_lab.runtime.system import _gpu_reader


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the place of nvidia-smi, in an environment without NVML's Python module."""
    path = tmp_path / "nvidia-smi"
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return path


def prints(program: Path, text: str, code: int = 0) -> None:
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\nexit {code}\n")
    program.chmod(0o755)


def test_names_and_driver(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prints(
        program,
        "0, NVIDIA A100-SXM4-80GB, 535.104.05, GPU-6f1d3b52-58b9-4a6c-a1c3-0f2c6a1f7d11\n"
        "1, NVIDIA RTX 4000 Ada Generation, 535.104.05, GPU-0c9a7c34-2a5e-4f0e-8a53-9d3c1b8d2e22\n",
    )
    assert gpu_models() == [
        {"index": "0", "name": "NVIDIA A100-SXM4-80GB", "driver": "535.104.05"},
        {"index": "1", "name": "NVIDIA RTX 4000 Ada Generation", "driver": "535.104.05"},
    ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [gpu["index"] for gpu in gpu_models()] == ["1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-6f1d3b52")
    assert [gpu["index"] for gpu in gpu_models()] == ["0"]
    for none in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none)
        assert gpu_models() == []


def test_the_load_of_the_gpus_that_are_seen(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prints(program, "0, 13, 1024, GPU-6f1d3b52-58b9\n1, [N/A], 2048, GPU-0c9a7c34-2a5e\n")
    assert _gpu_reader()() == [("0", 13.0, 1024 * 1024.0**2), ("1", None, 2048 * 1024.0**2)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-0c9a7c34-2a5e")
    assert [index for index, _, _ in _gpu_reader()()] == ["1"]


def test_a_driver_that_fails_is_no_gpu(program: Path) -> None:
    prints(program, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", 9)
    assert gpu_models() == []
    prints(program, "No devices were found\n")
    assert gpu_models() == []
