"""GPUs. There is none where these tests run, so a module of the same names stands in for NVML, except where
the real driver's absence is what is tested."""

from __future__ import annotations

import sys
import types
from types import SimpleNamespace
from typing import Any

import pytest

from genops_lab.hosts.machine import gpus
from genops_lab.hosts.machine.gpus import GpuReader


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


NOT_SUPPORTED, NO_LIBRARY, NO_DRIVER, LOST, UNINITIALIZED, UNKNOWN, NO_PERMISSION = 3, 12, 9, 15, 1, 999, 4


class Nvml(types.ModuleType):
    """Cards as dictionaries; a missing field answers NOT_SUPPORTED."""

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0
    NVML_ERROR_LIBRARY_NOT_FOUND = NO_LIBRARY
    NVML_ERROR_DRIVER_NOT_LOADED = NO_DRIVER
    NVML_ERROR_GPU_IS_LOST = LOST
    NVML_ERROR_UNINITIALIZED = UNINITIALIZED
    NVML_ERROR_UNKNOWN = UNKNOWN

    def __init__(self, cards: list[dict[str, Any]], init_error: int = 0) -> None:
        super().__init__("pynvml")
        self.cards, self.init_error, self.inits = cards, init_error, 0

    def nvmlInit(self) -> None:
        self.inits += 1
        if self.init_error:
            raise NVMLError(self.init_error)

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> dict[str, Any]:
        return self.cards[index]

    def _field(self, card: dict[str, Any], name: str) -> Any:
        value = card.get(name, NVMLError(NOT_SUPPORTED))
        if isinstance(value, NVMLError):
            raise value
        return value

    def nvmlDeviceGetName(self, card: dict[str, Any]) -> Any:
        return self._field(card, "name")

    def nvmlDeviceGetMemoryInfo(self, card: dict[str, Any]) -> Any:
        return self._field(card, "memory")

    def nvmlDeviceGetUtilizationRates(self, card: dict[str, Any]) -> Any:
        return self._field(card, "rates")

    def nvmlDeviceGetPowerUsage(self, card: dict[str, Any]) -> Any:
        return self._field(card, "power")

    def nvmlDeviceGetTemperature(self, card: dict[str, Any], _sensor: int) -> Any:
        return self._field(card, "temperature")

    def nvmlDeviceGetComputeRunningProcesses(self, card: dict[str, Any]) -> Any:
        return self._field(card, "compute")

    def nvmlDeviceGetGraphicsRunningProcesses(self, card: dict[str, Any]) -> Any:
        return self._field(card, "graphics")


FULL = {
    "name": b"NVIDIA H100",
    "memory": SimpleNamespace(total=80, used=20),
    "rates": SimpleNamespace(gpu=45),
    "power": 312_500,
    "temperature": 61,
    "compute": [SimpleNamespace(pid=7, usedGpuMemory=15), SimpleNamespace(pid=8, usedGpuMemory=None)],
    "graphics": [SimpleNamespace(pid=7, usedGpuMemory=15)],
}


def reader(monkeypatch: pytest.MonkeyPatch, nvml: Nvml) -> GpuReader:
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return GpuReader()


def test_a_card_with_every_field(monkeypatch: pytest.MonkeyPatch) -> None:
    found = reader(monkeypatch, Nvml([FULL])).read()
    (gpu,) = found.gpus
    assert found.state == "ok"
    assert (gpu.name, gpu.memory_total_bytes, gpu.memory_used_bytes) == ("NVIDIA H100", 80, 20)
    assert (gpu.utilization_percent, gpu.power_w, gpu.temperature_c) == (45.0, 312.5, 61.0)
    assert found.memory_by_pid == {7: 15}, "one process that both lists name counts once"


def test_a_card_or_a_mig_slice_that_tells_little(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = {"name": "MIG", "memory": NVMLError(NO_PERMISSION)}
    found = reader(monkeypatch, Nvml([denied, {}])).read()
    assert found.state == "ok" and found.message == ""
    first, second = found.gpus
    assert (first.name, second.name) == ("MIG", "GPU 1")
    assert (first.memory_total_bytes, first.utilization_percent, first.power_w, first.temperature_c) == (
        None,
    ) * 4


@pytest.mark.parametrize("error", [NO_LIBRARY, NO_DRIVER])
def test_no_driver_is_a_normal_state(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    found = reader(monkeypatch, Nvml([], init_error=error)).read()
    assert (found.state, found.message, found.gpus) == ("none", "", [])


def test_a_driver_without_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reader(monkeypatch, Nvml([])).read().state == "none"


def test_a_failing_driver_says_so_is_left_alone_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml([FULL], init_error=UNKNOWN)
    found = reader(monkeypatch, nvml)
    assert found.read().state == "error" and "nvidia-smi" in found.read().message
    assert nvml.inits == 1
    nvml.init_error = 0
    monkeypatch.setattr(gpus, "RETRY_S", 0.0)
    assert found.read().state == "ok"


def test_a_card_that_falls_off_the_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml([dict(FULL)])
    found = reader(monkeypatch, nvml)
    assert found.read().state == "ok"
    nvml.cards[0]["memory"] = NVMLError(LOST)
    assert found.read().state == "error"


def test_without_the_library_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert GpuReader().read().state == "none"


def test_the_real_library_on_a_machine_without_a_driver() -> None:
    pynvml = pytest.importorskip("pynvml")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        assert GpuReader().read().state == "none"
    else:
        assert GpuReader().read().state == "ok"
