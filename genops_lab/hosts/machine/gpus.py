"""GPUs as NVIDIA's driver reports them. No driver is a normal state; a field that a card lacks is None."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from .models import Gpu

#: After a failure the driver is not asked again at once.
RETRY_S = 30.0


@dataclass(frozen=True)
class GpuReading:
    """What the driver said. ``memory_by_pid`` in bytes; a container may see the host's process ids there."""

    state: Literal["ok", "none", "error"]
    message: str = ""
    gpus: list[Gpu] = field(default_factory=list)
    memory_by_pid: dict[int, int] = field(default_factory=dict)


class GpuReader:
    """Asks NVML, which is loaded at the first reading. Blocks; not for several threads at once."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._ready = False
        self._failure: GpuReading | None = None
        self._failed_at = 0.0

    def read(self) -> GpuReading:
        """All GPUs now."""
        if self._failure is not None and time.monotonic() - self._failed_at < RETRY_S:
            return self._failure
        try:
            import pynvml
        except ImportError:
            return self._fail(GpuReading("none"))
        self._nvml = pynvml
        try:
            if not self._ready:
                pynvml.nvmlInit()
                self._ready = True
            reading = self._read_all()
        except pynvml.NVMLError as error:
            return self._fail(self._reading_of(error))
        self._failure = None
        return reading

    def _fail(self, reading: GpuReading) -> GpuReading:
        self._ready = False
        self._failure, self._failed_at = reading, time.monotonic()
        return reading

    def _reading_of(self, error: Exception) -> GpuReading:
        absent = (self._nvml.NVML_ERROR_LIBRARY_NOT_FOUND, self._nvml.NVML_ERROR_DRIVER_NOT_LOADED)
        if getattr(error, "value", None) in absent:
            return GpuReading("none")
        return GpuReading("error", f"The NVIDIA driver does not answer: {error}. `nvidia-smi` tells more.")

    def _read_all(self) -> GpuReading:
        gpus: list[Gpu] = []
        by_pid: dict[int, int] = defaultdict(int)
        for index in range(self._nvml.nvmlDeviceGetCount()):
            handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
            gpus.append(self._read_one(index, handle))
            for process in self._processes(handle):
                if isinstance(process.usedGpuMemory, int):
                    by_pid[int(process.pid)] += process.usedGpuMemory
        return GpuReading("ok" if gpus else "none", gpus=gpus, memory_by_pid=dict(by_pid))

    def _read_one(self, index: int, handle: Any) -> Gpu:
        nvml = self._nvml
        memory = self._ask(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
        rates = self._ask(lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
        name = self._ask(lambda: nvml.nvmlDeviceGetName(handle)) or f"GPU {index}"
        power_mw = self._ask(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        temperature = self._ask(lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
        return Gpu(
            index=index,
            name=name.decode() if isinstance(name, bytes) else str(name),
            memory_total_bytes=None if memory is None else int(memory.total),
            memory_used_bytes=None if memory is None else int(memory.used),
            utilization_percent=None if rates is None else float(rates.gpu),
            temperature_c=None if temperature is None else float(temperature),
            power_w=None if power_mw is None else power_mw / 1000.0,
        )

    def _processes(self, handle: Any) -> list[Any]:
        found: dict[int, Any] = {}
        for question in (
            self._nvml.nvmlDeviceGetGraphicsRunningProcesses,
            self._nvml.nvmlDeviceGetComputeRunningProcesses,
        ):
            for process in self._ask(partial(question, handle)) or []:
                found[process.pid] = process
        return list(found.values())

    def _ask(self, question: Callable[[], Any]) -> Any:
        """The answer; None where this card, MIG or these rights do not give it. A lost card is an error."""
        try:
            return question()
        except self._nvml.NVMLError as error:
            gone = (
                self._nvml.NVML_ERROR_GPU_IS_LOST,
                self._nvml.NVML_ERROR_UNINITIALIZED,
                self._nvml.NVML_ERROR_UNKNOWN,
            )
            if getattr(error, "value", None) in gone:
                raise
            return None
