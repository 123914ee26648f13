"""Implement ``%genops memory``: record CUDA's allocator and name the tensors that use the memory.

Without a recording it lists the largest live tensors with the names that lead to them.
"""

from __future__ import annotations

import ast
import gc
import linecache
import os
import pickle  # only to write; nothing is read with it
import shlex
import socket
import sys
import time
import uuid
from types import TracebackType
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .cells import cell_id_of, executed_cells
from .display import shell
from .errors import GenOpsError
from .options import memory_parser
from .paths import is_remote, private_dir

SNAPSHOT = "memory.pickle"
_RECORD = "%genops memory record"
#: Lines of cells that are kept with a snapshot.
_MOST_LINES = 2000
#: Seconds for the search: a session has up to millions of objects.
LIMIT_S = 1.0
_MOST = 8
_DEEP = 3
#: Members of one container or object that are searched.
_WIDE = 1000
#: Latest cells that are searched for the assignment of a name.
_CELLS = 300
_UNNAMED = "no variable of this session refers to it"
_INSTALLED = f"{os.sep}site-packages{os.sep}"
_GIB, _MIB = 1 << 30, 1 << 20


class MemoryRecorder:
    """Records the history of torch's allocator. One at a time, because torch keeps one history a process."""

    def __init__(self) -> None:
        self.recording = False

    def record(self, events: int) -> None:
        """Record the latest ``events`` events with their Python lines. Raises GenOpsError."""
        memory = _allocator()
        if self.recording:
            raise GenOpsError(
                "A recording of the memory is already running.", "To end it, run `%genops memory stop`."
            )
        try:
            memory._record_memory_history(max_entries=events, stacks="python")
        except (TypeError, AttributeError) as error:
            raise GenOpsError(
                "This version of PyTorch cannot record its memory's history.", "Install PyTorch 2.1 or newer."
            ) from error
        except RuntimeError as error:
            raise GenOpsError(f"PyTorch could not record its memory: {error}.") from error
        self.recording = True
        print(
            f"GenOps: recording the latest {events:,} events of CUDA's memory. `%genops memory show` lists what uses "
            "it, `%genops memory stop` ends the recording. If memory runs out, the list appears by itself."
        )

    def snapshot(self) -> str:
        """Write a snapshot into a private folder and return its path. Raises GenOpsError."""
        if not self.recording:
            raise GenOpsError("No recording of the memory is running.", f"Start one: `{_RECORD}`.")
        memory = _allocator()
        try:
            found = memory._snapshot()
        except RuntimeError as error:
            raise GenOpsError(f"PyTorch gave no snapshot of its memory: {error}.") from error
        found["genops"] = {"cells": _cells_of(found), "retries": _retries()}
        return _written(found)

    def stop(self) -> str:
        """Write a last snapshot, end the recording and return the snapshot's path. Raises GenOpsError."""
        path = self.snapshot()
        self.recording = False
        _allocator()._record_memory_history(enabled=None)
        return path


recorder = MemoryRecorder()


def memory_command(arguments: List[str]) -> Any:
    """Run ``%genops memory record|show|stop``. Raises GenOpsError."""
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
    """After a cell that ran out of memory, print what uses it (for the shell's ``post_run_cell``)."""
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
    """Describe the memory without a recording: the allocator's numbers, the largest tensors, how to get
    lines.
    """
    import torch

    lines = [allocator_line(torch.cuda), *memory_lines("cuda", error)]
    lines.append(f"To see the memory by line, run `{_RECORD}`, then run the cell again.")
    return "\n".join(line for line in lines if line)


def _has_cuda() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_available())


def _allocator() -> Any:
    """Return ``torch.cuda.memory``. Raises GenOpsError if there is no CUDA."""
    try:
        import torch
    except ImportError as error:
        raise GenOpsError(
            "This kernel's environment has no PyTorch, so there is no allocator to record.",
            "Install PyTorch: %pip install torch",
        ) from error
    if not torch.cuda.is_available():
        raise GenOpsError(
            "PyTorch finds no CUDA device here, so there is no CUDA memory to record.",
            "Use a kernel on a machine with a GPU.",
        )
    return torch.cuda.memory


def _is_out_of_memory(error: Optional[BaseException]) -> bool:
    """Return whether memory ran out, even if another error was raised from that. Does not import torch."""
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
            f"GenOps: the snapshot is in {path} on {socket.gethostname()}. Copy it to the Lab's machine, then run "
            "there: genops profiles memory FILE"
        )
        return None
    from .command import run_command

    return run_command(f"profiles memory {shlex.quote(path)}" + (" --json" if as_json else ""), always=always)


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
            f"Cannot write the snapshot: {error.strerror or error}.",
            "Free disk space, then try again.",
        ) from error
    return str(final)


def _cells_of(found: Dict[str, Any]) -> Dict[str, Any]:
    """Return, by the file name in a frame, its cell: its count, its id and its lines."""
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
    """Return, by device, how often an allocation waited until cached memory was released."""
    import torch

    cuda: Any = torch.cuda
    try:
        counts = {
            str(device): int(cuda.memory_stats(device).get("num_alloc_retries", 0))
            for device in range(cuda.device_count())
        }
    except RuntimeError:
        return {}  # the driver may fail after an error: the snapshot matters more than this number
    return {device: count for device, count in counts.items() if count}


class LiveMemory(NamedTuple):
    """A block of memory of tensors: its bytes, its largest tensor in words, and names that refer to it."""

    size: int
    what: str
    names: List[str]


class _Block:
    def __init__(self) -> None:
        self.size = 0
        self.largest = -1
        self.what = ""
        self.names: List[str] = []


class Alive(NamedTuple):
    """The largest blocks, largest first; the count and bytes of all; whether all objects were searched."""

    largest: List[LiveMemory]
    blocks: int
    size: int
    whole: bool


def alive_tensors(device: str, error: Optional[BaseException] = None) -> Alive:
    """Return the memory of tensors on the kind of device (``cuda``, ``cpu``) that have a Python object.

    Names are those of the session's variables and of the frames of ``error``. The search takes at most about
    ``LIMIT_S``.
    """
    ends = time.monotonic() + LIMIT_S
    blocks: Dict[int, _Block] = {}
    whole = _find(device, blocks, ends)
    for name, tensor in _named(error):
        if time.monotonic() > ends:
            whole = False
            break
        block = blocks.get(_address(tensor, device))
        if block is not None and name not in block.names:
            block.names.append(name)
    found = sorted(blocks.values(), key=lambda block: block.size, reverse=True)[:_MOST]
    lines = _set_by([name for block in found for name in block.names])
    named = [
        LiveMemory(block.size, block.what, [name + lines.get(name, "") for name in block.names[:3]])
        for block in found
    ]
    return Alive(named, len(blocks), sum(block.size for block in blocks.values()), whole)


def memory_lines(device: str, error: Optional[BaseException] = None) -> List[str]:
    """Return the same as lines of text, one a block; empty if there is no block."""
    alive = alive_tensors(device, error)
    if not alive.blocks:
        return []
    lines = [
        f"{size_text(alive.size)} in {alive.blocks:,} blocks belong to tensors in Python. Most of the rest is what "
        "autograd keeps for the backward pass. The largest:"
    ]
    lines += [
        f"  {size_text(one.size):>10}  {one.what}  {', '.join(one.names) or _UNNAMED}"
        for one in alive.largest
    ]
    if not alive.whole:
        lines.append(f"  (the search ended after {LIMIT_S:g} s; not all objects were searched)")
    return lines


def allocator_line(cuda: Any) -> str:
    """Return the allocator's numbers for the present device; empty if the driver does not answer."""
    try:
        device = cuda.current_device()
        stats = cuda.memory_stats(device)
        free, total = cuda.mem_get_info(device)
    except (RuntimeError, AssertionError, AttributeError):
        return ""  # after an error the driver may fail
    said = [
        f"{size_text(int(stats.get('allocated_bytes.all.current', 0)))} used by tensors "
        f"({size_text(int(stats.get('allocated_bytes.all.peak', 0)))} at the peak)",
        f"{size_text(int(stats.get('reserved_bytes.all.current', 0)))} reserved by torch, "
        f"{size_text(int(stats.get('inactive_split_bytes.all.current', 0)))} of it free in split blocks",
        f"{size_text(free)} of {size_text(total)} free on the device",
    ]
    retries = int(stats.get("num_alloc_retries", 0))
    if retries:
        said.append(f"{retries} allocations waited until cached memory was released")
    return f"cuda:{device}: " + "; ".join(said) + "."


def size_text(size: int) -> str:
    """Return bytes as text, such as ``1.5 GiB``."""
    if size >= _GIB:
        return f"{size / _GIB:.1f} GiB"
    return f"{size / _MIB:.1f} MiB" if size >= _MIB else f"{size / 1024:.1f} KiB"


def _find(device: str, blocks: Dict[int, _Block], ends: float) -> bool:
    import torch

    kinds: Dict[type, bool] = {}
    for count, one in enumerate(gc.get_objects()):
        if not count % 4096 and time.monotonic() > ends:
            return False
        kind = type(one)
        is_tensor = kinds.get(kind)
        if is_tensor is None:
            is_tensor = kinds[kind] = issubclass(kind, torch.Tensor)
        if is_tensor:
            _add(one, device, blocks)
            if getattr(one, "is_leaf", False) and one.grad is not None:
                _add(one.grad, device, blocks)
    return True


def _add(tensor: Any, device: str, blocks: Dict[int, _Block]) -> None:
    address = _address(tensor, device)
    if not address:
        return
    block = blocks.setdefault(address, _Block())
    size = tensor.element_size() * tensor.numel()
    if size > block.largest:
        block.largest, block.size = size, _storage(tensor).nbytes()
        shape = " × ".join(map(str, tensor.shape)) or "a number"
        block.what = f"{shape}, {str(tensor.dtype).rpartition('.')[2]}"


def _address(tensor: Any, device: str) -> int:
    """Return the address of a tensor's memory; 0 on another device or without own memory."""
    try:
        return int(_storage(tensor).data_ptr()) if tensor.device.type == device else 0
    except Exception:
        return 0  # sparse, fake and wrapper tensors have no storage, and a subclass may raise anything


def _storage(tensor: Any) -> Any:
    # torch before 2.0 has only ``storage``.
    return tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()._untyped()


def _named(error: Optional[BaseException]) -> Iterator[Tuple[str, Any]]:
    """Yield tensors with the names that refer to them: the error's frames, innermost first, then variables."""
    spaces: List[Tuple[str, Dict[str, Any]]] = []
    trace: Optional[TracebackType] = error.__traceback__ if error is not None else None
    session: Dict[str, Any] = getattr(shell(), "user_ns", {})
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_locals is not session and _INSTALLED not in frame.f_code.co_filename:
            spaces.insert(0, (f" in {frame.f_code.co_name}()", frame.f_locals))
        trace = trace.tb_next
    spaces.append(("", {name: value for name, value in session.items() if not name.startswith("_")}))
    for where, space in spaces:
        for name, value in list(space.items()):
            for path, tensor in _tensors(name, value, _DEEP):
                yield path + where, tensor


def _tensors(path: str, value: Any, deep: int) -> Iterator[Tuple[str, Any]]:
    import torch

    if isinstance(value, torch.Tensor):
        yield path, value
        if value.is_leaf and value.grad is not None:
            yield f"{path}.grad", value.grad
    elif isinstance(value, torch.nn.Module):
        for name, parameter in list(value.named_parameters())[:_WIDE]:
            yield from _tensors(f"{path}.{name}", parameter, 0)
        for name, buffer in list(value.named_buffers())[:_WIDE]:
            yield f"{path}.{name}", buffer
    elif isinstance(value, torch.optim.Optimizer):
        for state in list(value.state.values())[:_WIDE]:
            for name, one in list(state.items()):
                yield from _tensors(f"{path}.state[...][{name!r}]", one, 0)
    elif deep and isinstance(value, dict):
        for key, one in list(value.items())[:_WIDE]:
            yield from _tensors(f"{path}[{str(key)[:40]!r}]", one, deep - 1)
    elif deep and isinstance(value, (list, tuple)):
        for index, one in enumerate(value[:_WIDE]):
            yield from _tensors(f"{path}[{index}]", one, deep - 1)


def _set_by(paths: List[str]) -> Dict[str, str]:
    """Return, by name, the line of the latest cell that assigned it, such as `` ([5] line 2)``."""
    wanted = {path: _variable(path) for path in paths if " in " not in path}
    missing = set(wanted.values())
    places: Dict[str, str] = {}
    for cell in reversed(executed_cells(shell())[-_CELLS:]) if shell() is not None else ():
        if not missing:
            break
        for name, line in _stores(cell.source):
            if name in missing:
                places[name] = f" ([{cell.execution_count}] line {line})"
        missing -= set(places)
    return {path: places[name] for path, name in wanted.items() if name in places}


def _variable(path: str) -> str:
    return path.partition("[")[0].partition(".")[0]


def _stores(source: str) -> Iterator[Tuple[str, int]]:
    # Magics leave empty lines, so that all other lines keep their numbers.
    lines = ["" if line.startswith(("%", "!")) else line for line in source.splitlines()]
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
