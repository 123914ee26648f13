"""Run PyTorch's profiler for one recording, of all threads if this torch can."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
import sys
import time
from typing import Any, Callable, ContextManager, Dict, List, Optional

from ..errors import GenOpsError
from .budget import Costs
from .device_errors import NativeMessages
from .recording_options import RecordingOptions

#: Calls in a round; the fastest round counts.
_CALIBRATED, _ROUNDS = 500, 5
#: No call is assumed to be faster, whatever was measured.
_LEAST_S = 1e-7
_PORTION = 4 << 20
_EVENT = b'"ph":'
_AS_OPERATOR = re.compile(rb'"cat": "cpu_op",(\s*)"name": "genops:')
_AS_ANNOTATION = rb'"cat": "user_annotation",\1"name": "genops:'
#: Kineto's log level without a device: otherwise only its own chatter would appear.
_LOG_LEVEL = "KINETO_LOG_LEVEL"


class _Start:
    """The first start of the profiler in this process."""

    seconds: Optional[float] = None
    costs = Costs()
    said = ""


def torch_profiler() -> Any:
    """Return ``torch.autograd.profiler``. Raises GenOpsError without torch."""
    try:
        import torch.autograd.profiler
    except ImportError as error:
        raise GenOpsError(
            "This kernel's environment has no PyTorch, and profiling uses PyTorch's profiler.",
            "Install PyTorch: %pip install torch",
        ) from error
    return torch.autograd.profiler


def device_to_record() -> str:
    """Return the kind of device that exists and that this torch can record, such as ``cuda``; empty for none."""
    import torch
    import torch.profiler as torch_profiling

    profiling: Any = torch_profiling
    kinds = {activity.name.lower() for activity in profiling.supported_activities()}
    for kind in ("cuda", "xpu", "mtia", "hpu"):
        module = getattr(torch, kind, None)
        if kind in kinds and module is not None and module.is_available():
            return kind
    return ""


class Recorder:
    """One recording. ``grown`` is the growth of this process in bytes during ``stop``, which makes the
    result.
    """

    def __init__(self, wishes: RecordingOptions, device: str) -> None:
        self._wishes = wishes
        self._device = device
        self._profiler: Any = None
        self._configured: Dict[str, bool] = {}
        self._replaced: Any = None
        self.messages = NativeMessages()
        self.grown = 0

    @property
    def any_thread(self) -> bool:
        """Whether it records all threads and any thread may stop it; else only the thread that started."""
        return self._configured.get("profile_all_threads", False)

    def start(self, on_other: Callable[[], None]) -> None:
        """Begin; ``on_other`` is called when another profiler is about to begin. Raises GenOpsError."""
        profiling = torch_profiler()
        refuse_second(profiling)
        if not self._device:
            os.environ.setdefault(_LOG_LEVEL, "6")
        try:
            self._profiler = self._made(profiling)
            with self._heard():
                self._profiler._prepare_trace()
                self._profiler._start_trace()
        except RuntimeError as error:
            self._profiler = None
            raise GenOpsError(
                f"The profiler could not start: {error}.",
                "Run the cell again. If that fails too, restart the kernel.",
            ) from error
        self._give_way(profiling, on_other)

    def _heard(self) -> ContextManager[None]:
        """Collect messages of the device's library, if there is a device."""
        return self.messages.heard() if self._device else contextlib.nullcontext()

    def stop(self, about: Dict[str, Any]) -> None:
        """End; ``about`` is kept in the trace as ``genops``."""
        profiling = torch_profiler()
        if self._replaced is not None:
            profiling._prepare_profiler = self._replaced
            self._replaced = None
        for name, value in {"genops": about, **_of_process(self._wishes)}.items():
            _add_metadata(name, value)
        before = resident_bytes()
        with self._heard():
            self._profiler.__exit__(None, None, None)
        self.grown = max(0, resident_bytes() - before)

    def save(self, path: str, not_whole: str = "", cells: Optional[List[Dict[str, Any]]] = None) -> None:
        """Write the result as JSON, once. Raises GenOpsError if it is incomplete.

        ``not_whole`` is the name of a slice that was cut or has other work in it; its new name says so.
        ``cells`` are kept in the trace as ``genopsCells``.
        """
        results = self._profiler.kineto_results
        self._profiler = None
        raw = f"{path}.raw"
        try:
            results.save(raw)
            if not _is_whole(raw):
                raise OSError("the disk took only a part of it")
            _finished(raw, path, not_whole, cells or [])
        except (OSError, RuntimeError) as error:
            raise _unwritten(path, str(error)) from error
        finally:
            for left in (raw, f"{raw}.tmp"):
                with contextlib.suppress(OSError):
                    os.unlink(left)

    def _made(self, profiling: Any) -> Any:
        if self._wishes.graphs:
            # Kernels of a graph that was captured before appear only while CUPTI stays attached.
            os.environ["DISABLE_CUPTI_LAZY_REINIT"] = "1"
            os.environ["TEARDOWN_CUPTI"] = "0"
        given: Dict[str, Any] = {
            "use_cpu": True,
            "use_kineto": True,
            "record_shapes": self._wishes.shapes,
            "with_flops": self._wishes.shapes,
            "profile_memory": self._wishes.memory,
            "with_stack": self._wishes.stacks,
            "experimental_config": self._experimental(),
        }
        taken = inspect.signature(profiling.profile.__init__).parameters
        if "use_device" in taken:
            given["use_device"] = self._device or None
        else:
            given["use_cuda"] = self._device == "cuda"
        return profiling.profile(**{name: value for name, value in given.items() if name in taken})

    def _experimental(self) -> Any:
        import torch._C._profiler as native

        configuration: Any = native._ExperimentalConfig

        # Newer torch: without Python objects the end takes half the time.
        wanted: List[Dict[str, bool]] = [
            {"profile_all_threads": True, "trace_only": True},
            {"profile_all_threads": True},
            {},
        ]
        if self._wishes.stacks or self._wishes.memory:
            # Python stacks and memory events cover the thread that starts, and autograd for it.
            wanted = [{"verbose": True}, {}]
            if not self._wishes.stacks:  # torch warns of both together, and drops the first
                wanted.insert(0, {"trace_only": True, "verbose": True})
        for options in wanted:
            try:
                made = configuration(**options)
            except TypeError:
                continue
            self._configured = options
            return made
        return None

    def _give_way(self, profiling: Any, on_other: Callable[[], None]) -> None:
        # Two profilers at once end each other's recording, and torch then reads freed memory.
        original = getattr(profiling, "_prepare_profiler", None)
        if original is None:
            return

        def prepare(*arguments: Any, **options: Any) -> Any:
            on_other()
            return original(*arguments, **options)

        self._replaced, profiling._prepare_profiler = original, prepare


def refuse_second(profiling: Any) -> None:
    """Raise GenOpsError while another torch profiler records in this process."""
    import torch

    enabled = getattr(torch._C._autograd, "_profiler_enabled", bool)
    if enabled() or getattr(profiling, "_is_profiler_enabled", False):
        raise GenOpsError(
            "Another PyTorch profiler is already recording in this kernel.",
            "End that recording first: only one can run at a time.",
        )


def warmed_up(device: str) -> "tuple[float, Costs]":
    """Return the seconds of the profiler's first start (0 if it has started before), and the cost of markers.

    A device's event library (CUPTI) needs seconds at its first start, which happens outside of the recording.
    """
    if _Start.seconds is not None:
        return 0.0, _Start.costs
    started = time.perf_counter()
    recorder = Recorder(RecordingOptions(), device)
    recorder.start(lambda: None)
    first = time.perf_counter() - started
    try:
        _Start.costs = _measured()
    finally:
        started = time.perf_counter()
        recorder.stop({})
        _Start.seconds = first + time.perf_counter() - started
        _Start.said = recorder.messages.text
    return _Start.seconds, _Start.costs


def said_at_first_start() -> str:
    """Return the device library's messages at its first start in this process: it reports a failure only
    once.
    """
    return _Start.said


def annotation(name: str) -> Any:
    """Return a context manager for a slice of the trace that is not an operator."""
    return torch_profiler().record_function(name)


def marker(name: str) -> Any:
    """Return the same at a tenth of its cost; the trace calls it an operator until it is saved."""
    try:
        from torch._C._profiler import _RecordFunctionFast
    except ImportError:  # torch before 2.2
        return annotation(name)
    return _RecordFunctionFast(name)


class _Typical:
    """Has a method of usual length: with ``sys.settrace`` for calls, each instruction takes longer too."""

    def __init__(self) -> None:
        self.size = 1
        self.known = {"a": 1}

    def call(self, more: int, less: int) -> Any:
        found = self.size + more
        if found > less and self.known is not None:
            found -= less
        value = self.known["a"]
        both = (more, less, found, value)
        return both if found else None


def _measured() -> Costs:
    def nothing() -> None:
        return None

    def mark() -> None:
        with marker("genops"):
            nothing()

    typical = _Typical().call
    plain, call = _least(nothing), 0.0
    if not hasattr(sys, "monitoring") and sys.gettrace() is None:
        counted: Dict[str, int] = {"calls": 0}

        def hear(frame: Any, _event: str, _argument: Any) -> None:
            if frame.f_code.co_filename not in counted:
                counted["calls"] += 1

        unheard = _least(typical, 1, 2)
        sys.settrace(hear)
        call = max(_least(typical, 1, 2) - unheard, _LEAST_S)
        sys.settrace(None)
    marked = max(_least(mark) - plain, _LEAST_S)
    # A line also has our own call, which costs about two calls of other code.
    return Costs(marked + 2 * call, call)


def _least(work: Callable[..., Any], *given: int) -> float:
    """Return the seconds of one call in the fastest round: other work of the machine only adds."""
    rounds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for _ in range(_CALIBRATED):
            work(*given)
        rounds.append(time.perf_counter() - started)
    return min(rounds) / _CALIBRATED


def resident_bytes() -> int:
    """Return this process's memory in bytes, without pages of files (such as libraries); 0 if unknown.

    Only Linux gives this number.
    """
    try:
        with open("/proc/self/statm", "rb") as stream:
            _, resident, of_files = stream.read().split()[:3]
        return (int(resident) - int(of_files)) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _of_process(wishes: RecordingOptions) -> Dict[str, Any]:
    """Return what torch's own profiler writes about the process into a trace."""
    said: Dict[str, Any] = {}
    for name, asked in (("record_shapes", wishes.shapes), ("profile_memory", wishes.memory)):
        if asked:
            said[name] = 1
    if wishes.stacks:
        said["with_stack"] = 1
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        said["distributedInfo"] = {
            "backend": str(distributed.get_backend()),
            "rank": distributed.get_rank(),
            "world_size": distributed.get_world_size(),
        }
    return said


def _add_metadata(name: str, value: Any) -> None:
    import torch

    add = getattr(torch.autograd, "_add_metadata_json", None)
    if add is not None:
        add(name, json.dumps(value))


def _is_whole(path: str) -> bool:
    with open(path, "rb") as stream:
        stream.seek(-min(64, os.fstat(stream.fileno()).st_size), os.SEEK_END)
        return stream.read().rstrip().endswith(b"}")


def _finished(raw: str, path: str, not_whole: str, cells: List[Dict[str, Any]]) -> None:
    """Copy a trace and turn our markers from operators into annotations."""
    named = f'"name": "{not_whole}"'.encode()
    said = f'"name": "{not_whole} (not whole)"'.encode()
    with open(raw, "rb") as source, open(path, "wb") as target:
        rest = source.read(_PORTION).lstrip()
        if cells and rest.startswith(b"{"):
            target.write(b'{"genopsCells": ' + json.dumps(cells).encode() + b",")
            rest = rest[1:]
        while True:
            portion = source.read(_PORTION)
            # An event begins with its phase: none is cut in two.
            whole, begins, behind = (rest + portion).rpartition(_EVENT) if portion else (rest, b"", b"")
            whole = _AS_OPERATOR.sub(_AS_ANNOTATION, whole)
            target.write(whole.replace(named, said) if not_whole else whole)
            rest = begins + behind
            if not portion:
                return


def _unwritten(path: str, why: str) -> GenOpsError:
    return GenOpsError(
        f"Cannot write the trace to {os.path.dirname(path)}: {why}.",
        "Free disk space there, or set GENOPS_DATA_DIR to another disk, and record again.",
    )
