"""Log the load of this process and its GPUs as ``system/...`` metrics, every two seconds."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

INTERVAL_S = 2.0
_MB = 1024.0 * 1024.0

#: (index, busy percent, used bytes) of each GPU.
GpuReading = List[Tuple[str, Optional[float], Optional[float]]]


def memory_bytes() -> Optional[float]:
    """Return the resident memory of this process in bytes (on macOS without psutil: its peak so far)."""
    try:
        with open("/proc/self/statm", "rb") as stream:
            return float(int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, ValueError, IndexError):
        pass
    try:
        import psutil

        return float(psutil.Process().memory_info().rss)
    except ImportError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)


def is_visible(index: str, uuid: str = "") -> bool:
    """Return whether ``CUDA_VISIBLE_DEVICES`` lets this process use the GPU of this index or uuid."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return True
    chosen = [part.strip() for part in given.split(",") if part.strip()]
    if any(part.startswith("MIG-") for part in chosen):
        return True  # a MIG slice does not name its GPU
    return any(part == index or (len(part) > 7 and uuid.startswith(part)) for part in chosen)


def visible_by_nvml() -> "Tuple[Any, List[Tuple[str, Any]]]":
    """Return NVML, and the index and handle of each visible GPU. Raises ImportError and NVML's own errors."""
    import pynvml

    nvml: Any = pynvml
    nvml.nvmlInit()
    handles = [(str(i), nvml.nvmlDeviceGetHandleByIndex(i)) for i in range(nvml.nvmlDeviceGetCount())]
    return nvml, [each for each in handles if is_visible(each[0], nvml_text(nvml.nvmlDeviceGetUUID(each[1])))]


def nvml_text(given: Any) -> str:
    """Return a text of NVML, which is bytes in some versions."""
    return given.decode("utf-8", "replace") if isinstance(given, bytes) else str(given)


def visible_by_program(*fields: str) -> List[List[str]]:
    """Return the index and these fields of each visible GPU, from ``nvidia-smi``.

    Raises OSError, ValueError, subprocess.SubprocessError.
    """
    answer = subprocess.run(
        ["nvidia-smi", f"--query-gpu={','.join(('index', *fields, 'uuid'))}", "--format=csv,noheader,nounits"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True, timeout=10, check=True,
    )  # fmt: skip
    rows = [[field.strip() for field in line.split(",")] for line in answer.stdout.splitlines()]
    return [[index, *asked] for index, *asked, uuid in rows if is_visible(index, uuid)]


class _Nvml:
    def __init__(self) -> None:
        self._nvml, self._handles = visible_by_nvml()

    def _ask(self, question: Callable[[], Any]) -> Optional[float]:
        try:
            return float(question())
        except self._nvml.NVMLError:  # a figure that this card lacks
            return None

    def read(self) -> GpuReading:
        nvml = self._nvml
        readings: GpuReading = []
        for index, handle in self._handles:
            busy = self._ask(lambda h=handle: nvml.nvmlDeviceGetUtilizationRates(h).gpu)  # type: ignore[misc]
            used = self._ask(lambda h=handle: nvml.nvmlDeviceGetMemoryInfo(h).used)  # type: ignore[misc]
            readings.append((index, busy, used))
        return readings


def _by_program() -> GpuReading:
    readings: GpuReading = []
    for index, *fields in visible_by_program("utilization.gpu", "memory.used"):
        busy, used = [float(f) if f.replace(".", "", 1).isdigit() else None for f in fields]
        readings.append((index, busy, None if used is None else used * _MB))
    return readings


def _gpu_reader() -> Callable[[], GpuReading]:
    try:
        return _Nvml().read
    except ImportError:
        pass
    except Exception:  # NVML's errors share no base with ours; a missing driver is a normal state
        return list
    try:
        _by_program()
        return _by_program
    except (OSError, ValueError, subprocess.SubprocessError):
        return list


class SystemSampler:
    """Samples in a thread until stopped. CPU percent counts one busy core as 100."""

    def __init__(self, log: Callable[[Dict[str, float], int], None], first_step: int = 0) -> None:
        self._log = log
        self._step = first_step
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="genops-system", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop; no sample is logged after this returns."""
        self._stop.set()

    def _run(self) -> None:
        read_gpus = _gpu_reader()
        step = self._step
        cpu, wall = time.process_time(), time.monotonic()
        while not self._stop.wait(INTERVAL_S):
            now_cpu, now_wall = time.process_time(), time.monotonic()
            values = {"system/cpu_percent": 100.0 * (now_cpu - cpu) / max(now_wall - wall, 1e-9)}
            cpu, wall = now_cpu, now_wall
            memory = memory_bytes()
            if memory is not None:
                values["system/memory_mb"] = memory / _MB
            try:
                gpus = read_gpus()
            except Exception:  # if the driver fails during training, the other samples continue
                read_gpus, gpus = list, []
            for index, busy, used in gpus:
                if busy is not None:
                    values[f"system/gpu_{index}_percent"] = busy
                if used is not None:
                    values[f"system/gpu_{index}_memory_mb"] = used / _MB
            if not self._stop.is_set():
                self._log(values, step)
            step += 1
