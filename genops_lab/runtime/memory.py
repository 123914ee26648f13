"""``%genops memory``: the history of CUDA's allocator, and what held the memory when it was out."""

from __future__ import annotations

import linecache
import os
import pickle  # writes; nothing is read with it
import shlex
import socket
import sys
import uuid
from typing import Any, Dict, Iterator, List, Optional

from .cells import cell_id_of
from .display import shell
from .errors import GenOpsError
from .live_tensors import allocator_line, held_lines
from .options import memory_parser
from .paths import is_remote, private_dir

SNAPSHOT = "memory.pickle"
_RECORD = "%genops memory record"
#: Lines of cells that are kept with a snapshot.
_MOST_LINES = 2000


class MemoryRecorder:
    """What torch records of its allocator in this kernel. One at a time: torch keeps one history a process."""

    def __init__(self) -> None:
        self.recording = False

    def record(self, events: int) -> None:
        """Begin to record the latest ``events`` events with their Python lines. Raises GenOpsError."""
        memory = _allocator()
        if self.recording:
            raise GenOpsError("The memory is being recorded already.", "`%genops memory stop` ends that.")
        try:
            memory._record_memory_history(max_entries=events, stacks="python")
        except (TypeError, AttributeError) as error:
            raise GenOpsError(
                "This PyTorch cannot record its memory's history.", "Install PyTorch 2.1 or a newer one."
            ) from error
        except RuntimeError as error:
            raise GenOpsError(f"PyTorch could not record its memory: {error}.") from error
        self.recording = True
        print(
            f"GenOps: recording the latest {events:,} events of CUDA's memory. `%genops memory show` says what holds "
            "it, `%genops memory stop` ends it; when memory is out, what held it is shown."
        )

    def snapshot(self) -> str:
        """Write a snapshot into a private folder; its path. Raises GenOpsError."""
        if not self.recording:
            raise GenOpsError("The memory is not being recorded.", f"Begin with `{_RECORD}`.")
        memory = _allocator()
        try:
            found = memory._snapshot()
        except RuntimeError as error:
            raise GenOpsError(f"PyTorch gave no snapshot of its memory: {error}.") from error
        found["genops"] = {"cells": _cells_of(found), "retries": _retries()}
        return _written(found)

    def stop(self) -> str:
        """A last snapshot, then no more is recorded; its path. Raises GenOpsError."""
        path = self.snapshot()
        self.recording = False
        _allocator()._record_memory_history(enabled=None)
        return path


recorder = MemoryRecorder()


def memory_command(arguments: List[str]) -> Any:
    """``%genops memory record|show|stop``. Raises GenOpsError."""
    options = memory_parser().parse_args(arguments)
    if options.verb == "record":
        recorder.record(options.events)
        return None
    if options.verb == "show" and not recorder.recording and not options.json and _has_cuda():
        print(f"GenOps: {_unrecorded(None)}")
        return None
    path = recorder.stop() if options.verb == "stop" else recorder.snapshot()
    try:
        return _shown(path, as_json=options.json)
    finally:
        if options.verb == "show" and not is_remote():
            os.unlink(path)
            os.rmdir(os.path.dirname(path))
        elif not is_remote():
            print(f"GenOps: the snapshot is kept in {path}", file=sys.stderr)


def after_cell(result: Any) -> None:
    """When a cell ended because memory was out, say what held it (for the shell's ``post_run_cell``)."""
    error = getattr(result, "error_in_exec", None)
    if not _is_out_of_memory(error):
        return
    if not recorder.recording:
        print(f"GenOps: {_unrecorded(error)}", file=sys.stderr)
        return
    try:
        path = recorder.snapshot()
        _shown(path, always=True)
        print(f"GenOps: the snapshot is kept in {path}", file=sys.stderr)
    except GenOpsError as failure:
        print(f"GenOps: {failure}", file=sys.stderr)


def _unrecorded(error: Optional[BaseException]) -> str:
    """What can be told without a recording: the allocator's numbers, the largest tensors, and how to get lines."""
    import torch

    lines = [allocator_line(torch.cuda), *held_lines("cuda", error)]
    lines.append(f"To see what holds the memory, by line: `{_RECORD}`, then run the cell again.")
    return "\n".join(line for line in lines if line)


def _has_cuda() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_available())


def _allocator() -> Any:
    """``torch.cuda.memory``. Raises GenOpsError where there is no CUDA."""
    try:
        import torch
    except ImportError as error:
        raise GenOpsError(
            "There is no PyTorch in this kernel's environment, and it is PyTorch's allocator that is recorded.",
            "Install it: %pip install torch",
        ) from error
    if not torch.cuda.is_available():
        raise GenOpsError(
            "PyTorch sees no CUDA device here, so there is no CUDA memory to record.",
            "Use a kernel on a machine with a GPU.",
        )
    return torch.cuda.memory


def _is_out_of_memory(error: Optional[BaseException]) -> bool:
    """Also when it was raised while another error was made of it. torch is not imported for this."""
    seen = 0
    while error is not None and seen < 20:
        if any(
            each.__name__ == "OutOfMemoryError" and each.__module__.partition(".")[0] == "torch"
            for each in type(error).__mro__
        ):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


def _shown(path: str, *, as_json: bool = False, always: bool = False) -> Any:
    if is_remote():
        print(
            f"GenOps: the snapshot is in {path} on {socket.gethostname()}. Copy it to the Lab's machine and read it "
            "there: genops profile memory FILE"
        )
        return None
    from .command import run_command

    return run_command(f"profile memory {shlex.quote(path)}" + (" --json" if as_json else ""), always=always)


def _written(found: Dict[str, Any]) -> str:
    folder = private_dir("profiles", uuid.uuid4().hex)
    partial, final = folder / f".partial.{SNAPSHOT}", folder / SNAPSHOT
    try:
        descriptor = os.open(str(partial), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            pickle.dump(found, stream, protocol=4)
        partial.replace(final)
    except OSError as error:
        for left in (partial, final):
            if left.exists():
                left.unlink()
        folder.rmdir()
        raise GenOpsError(
            f"The snapshot could not be written: {error.strerror or error}.",
            "Free some space, then try again.",
        ) from error
    return str(final)


def _cells_of(found: Dict[str, Any]) -> Dict[str, Any]:
    """By the file name that a frame gives, the cell that it stands for: how it was counted, its id, its lines."""
    counts = getattr(getattr(shell(), "compile", None), "_filename_map", None)
    if not isinstance(counts, dict):
        return {}
    cells: Dict[str, Any] = {}
    kept = 0
    for frame in _frames(found):
        name, line = str(frame.get("filename")), frame.get("line")
        if name not in counts or kept >= _MOST_LINES:
            continue
        cell = cells.setdefault(
            name, {"count": counts[name], "id": cell_id_of(shell(), counts[name]), "lines": {}}
        )
        if str(line) not in cell["lines"] and isinstance(line, int):
            cell["lines"][str(line)] = linecache.getline(name, line).rstrip("\n")[:500]
            kept += 1
    return cells


def _frames(found: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    seen = set()
    entries = [entry for trace in found.get("device_traces", ()) for entry in trace]
    entries += [block for segment in found.get("segments", ()) for block in segment.get("blocks", ())]
    for entry in entries:
        for frame in entry.get("frames") or ():
            key = frame.get("filename"), frame.get("line")
            if key not in seen:
                seen.add(key)
                yield frame


def _retries() -> Dict[str, int]:
    """By device, how often an allocation had to wait for cached memory to be given back."""
    import torch

    cuda: Any = torch.cuda
    try:
        counts = {
            str(device): int(cuda.memory_stats(device).get("num_alloc_retries", 0))
            for device in range(cuda.device_count())
        }
    except RuntimeError:
        return {}  # the driver is in trouble after a failure: the snapshot is worth more than this number
    return {device: count for device, count in counts.items() if count}
