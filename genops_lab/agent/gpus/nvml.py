"""Read NVIDIA's management library by ctypes: a reading starts no process and opens the driver once."""

from __future__ import annotations

import ctypes
import re
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .found import NOTHING, Found, gpu, mig_slice, process

#: Paths of the library that the loader may not know: WSL, GKE, older distributions.
LIBRARIES = (
    "libnvidia-ml.so.1",
    "/usr/lib/wsl/lib/libnvidia-ml.so.1",
    "/usr/local/nvidia/lib64/libnvidia-ml.so.1",
    "/usr/lib64/nvidia/libnvidia-ml.so.1",
)

_SUCCESS = 0
_INSUFFICIENT_SIZE = 7
DRIVER_NOT_LOADED = 9
FUNCTION_NOT_FOUND = 13
LIB_RM_VERSION_MISMATCH = 18
#: After these the library must be opened again: not initialized, a card is lost, reset required, unknown.
_BROKEN = (1, 15, 16, 999)
_NOT_AVAILABLE = 0xFFFFFFFFFFFFFFFF
_TEXT_BYTES = 96


class NvmlError(Exception):
    """The library's answer to a failed call."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class _MemoryV2(ctypes.Structure):
    _fields_ = [
        ("version", ctypes.c_uint),
        ("total", ctypes.c_ulonglong),
        ("reserved", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    ]


class _Rates(ctypes.Structure):
    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


class _Process(ctypes.Structure):
    _fields_ = [("pid", ctypes.c_uint), ("used", ctypes.c_ulonglong)]


class _ProcessV2(ctypes.Structure):
    _fields_ = [
        ("pid", ctypes.c_uint),
        ("used", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    ]


class _Attributes(ctypes.Structure):
    _fields_ = [
        ("multiprocessors", ctypes.c_uint),
        ("copy_engines", ctypes.c_uint),
        ("decoders", ctypes.c_uint),
        ("encoders", ctypes.c_uint),
        ("jpeg", ctypes.c_uint),
        ("ofa", ctypes.c_uint),
        ("gpu_slices", ctypes.c_uint),
        ("compute_slices", ctypes.c_uint),
        ("memory_mb", ctypes.c_ulonglong),
    ]


#: The ``_v2`` form comes first: drivers 535.43 to 535.86 had a ``_v3`` with another structure.
_PROCESS_FORMS: Tuple[Tuple[str, Any], ...] = (("_v2", _ProcessV2), ("_v3", _ProcessV2), ("", _Process))


def load() -> Optional[ctypes.CDLL]:
    """Return the driver's library, or None."""
    for name in LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


class Nvml:
    """The cards of a loaded library. Not for several threads at once."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._open = False
        self._cards: List[Tuple[ctypes.c_void_p, str, str]] = []

    def read(self) -> Found:
        """Return all cards now; raises NvmlError where the driver does not answer."""
        try:
            if not self._open:
                self._call("nvmlInit_v2")
                self._open = True
                self._cards = self._find_cards()
            cards = [self._read_one(index, *card) for index, card in enumerate(self._cards)]
        except NvmlError:
            self.close()
            raise
        return Found("ok", "", cards) if cards else NOTHING

    def close(self) -> None:
        """Close the driver; the next reading opens it again."""
        if self._open:
            self._open = False
            self._cards = []
            self._library.nvmlShutdown()

    def _find_cards(self) -> List[Tuple[ctypes.c_void_p, str, str]]:
        """Return each card's handle, name and UUID: they stay the same while the driver is open."""
        count = ctypes.c_uint()
        self._call("nvmlDeviceGetCount_v2", ctypes.byref(count))
        found = []
        for index in range(count.value):
            handle = ctypes.c_void_p()
            self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
            found.append(
                (handle, self._text("nvmlDeviceGetName", handle), self._text("nvmlDeviceGetUUID", handle))
            )
        return found

    def _read_one(self, index: int, handle: ctypes.c_void_p, name: str, uuid: str) -> Dict[str, Any]:
        total, used = self._memory(handle)
        rates = _Rates()
        busy = self._asked("nvmlDeviceGetUtilizationRates", handle, ctypes.byref(rates))
        temperature, power = ctypes.c_uint(), ctypes.c_uint()
        warm = self._asked("nvmlDeviceGetTemperature", handle, ctypes.c_int(0), ctypes.byref(temperature))
        powered = self._asked("nvmlDeviceGetPowerUsage", handle, ctypes.byref(power))
        slices = self._slices(handle)
        using: Dict[int, Optional[int]] = {}
        for one in [handle, *(slice_handle for slice_handle, _ in slices)]:
            self._add_processes(one, using)
        return gpu(
            index,
            "nvidia",
            uuid=uuid,
            name=name,
            memory_total_bytes=total,
            memory_used_bytes=used,
            utilization_percent=float(rates.gpu) if busy else None,
            temperature_c=float(temperature.value) if warm else None,
            power_w=power.value / 1000.0 if powered else None,
            mig=[found for _, found in slices],
            processes=[process(pid, memory) for pid, memory in sorted(using.items())],
        )

    def _memory(self, handle: ctypes.c_void_p) -> Tuple[Optional[int], Optional[int]]:
        """Return total and used bytes. The second form leaves out the driver's reserve, as nvidia-smi does."""
        newer = _MemoryV2(version=ctypes.sizeof(_MemoryV2) | 2 << 24)
        if self._asked("nvmlDeviceGetMemoryInfo_v2", handle, ctypes.byref(newer)):
            return int(newer.total), int(newer.used)
        older = _Memory()
        if self._asked("nvmlDeviceGetMemoryInfo", handle, ctypes.byref(older)):
            return int(older.total), int(older.used)
        return None, None

    def _slices(self, handle: ctypes.c_void_p) -> List[Tuple[ctypes.c_void_p, Dict[str, Any]]]:
        current, pending, count = ctypes.c_uint(), ctypes.c_uint(), ctypes.c_uint()
        if not self._asked("nvmlDeviceGetMigMode", handle, ctypes.byref(current), ctypes.byref(pending)):
            return []
        if not current.value:
            return []
        self._asked("nvmlDeviceGetMaxMigDeviceCount", handle, ctypes.byref(count))
        found = []
        for index in range(count.value):
            one = ctypes.c_void_p()
            place = ctypes.c_uint(index)
            if not self._asked("nvmlDeviceGetMigDeviceHandleByIndex", handle, place, ctypes.byref(one)):
                continue  # the slots need not be filled from the first
            total, used = self._memory(one)
            uuid = self._text("nvmlDeviceGetUUID", one)
            found.append((one, mig_slice(uuid, self._profile(one), total, used)))
        return found

    def _profile(self, handle: ctypes.c_void_p) -> str:
        named = re.search(r"MIG (\S+)", self._text("nvmlDeviceGetName", handle))
        if named:
            return named.group(1)
        given = _Attributes()
        if not self._asked("nvmlDeviceGetAttributes_v2", handle, ctypes.byref(given)):
            return ""
        part = "" if given.compute_slices == given.gpu_slices else f"{given.compute_slices}c."
        return f"{part}{given.gpu_slices}g.{-(-given.memory_mb // 1024)}gb"

    def _add_processes(self, handle: ctypes.c_void_p, using: Dict[int, Optional[int]]) -> None:
        for question in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"):
            for one in self._processes(question, handle):
                memory = None if one.used == _NOT_AVAILABLE else int(one.used)
                if using.get(one.pid) is None:
                    using[one.pid] = memory

    def _processes(self, question: str, handle: ctypes.c_void_p) -> Sequence[Any]:
        for suffix, form in _PROCESS_FORMS:
            room = 64
            while True:
                count = ctypes.c_uint(room)
                entries = (form * room)()
                code = self._code(question + suffix, handle, ctypes.byref(count), entries)
                if code != _INSUFFICIENT_SIZE or room >= 1 << 16:
                    break
                room = max(count.value + 16, 2 * room)
            if code == _SUCCESS:
                return list(entries[: count.value])
            if code != FUNCTION_NOT_FOUND:
                self._check(code)
                return []
        return []

    def _text(self, function: str, handle: ctypes.c_void_p) -> str:
        buffer = ctypes.create_string_buffer(_TEXT_BYTES)
        if not self._asked(function, handle, buffer, ctypes.c_uint(_TEXT_BYTES)):
            return ""
        return buffer.value.decode("utf-8", "replace")

    def _asked(self, function: str, *arguments: Any) -> bool:
        """Return whether the card supports this function; False where the card, MIG or the user's rights do
        not allow it."""
        code = self._code(function, *arguments)
        self._check(code)
        return code == _SUCCESS

    def _check(self, code: int) -> None:
        if code in _BROKEN:
            raise NvmlError(code, self._words(code))

    def _call(self, function: str, *arguments: Any) -> None:
        code = self._code(function, *arguments)
        if code != _SUCCESS:
            raise NvmlError(code, self._words(code))

    def _code(self, function: str, *arguments: Any) -> int:
        ask: Optional[Callable[..., int]] = getattr(self._library, function, None)
        return FUNCTION_NOT_FOUND if ask is None else int(ask(*arguments))

    def _words(self, code: int) -> str:
        describe = getattr(self._library, "nvmlErrorString", None)
        if describe is None:
            return f"error {code}"
        describe.restype = ctypes.c_char_p
        said: Optional[bytes] = describe(ctypes.c_int(code))
        return said.decode("utf-8", "replace") if said else f"error {code}"
