"""``%genops memory``: the history of CUDA's allocator, and what held the memory when it was out; without a recording
the largest tensors that are alive, by the names that lead to them."""

from __future__ import annotations

import ast
import gc
import linecache
import os
import pickle  # writes; nothing is read with it
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
#: For the look, in seconds; a session has up to millions of objects.
LIMIT_S = 1.0
_MOST = 8
_DEEP = 3
#: Members of one container, or of one object, that are looked at.
_WIDE = 1000
#: Cells, the latest, that are searched for who set a name.
_CELLS = 300
_UNNAMED = "no variable of this session leads to it"
_INSTALLED = f"{os.sep}site-packages{os.sep}"
_GIB, _MIB = 1 << 30, 1 << 20


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


class LiveMemory(NamedTuple):
    """A block of memory that tensors hold: its bytes, its largest tensor in words, and names that lead to it."""

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
    """The largest blocks, largest first; how many there are and their bytes; whether all objects were looked at."""

    largest: List[LiveMemory]
    blocks: int
    size: int
    whole: bool


def alive_tensors(device: str, error: Optional[BaseException] = None) -> Alive:
    """What tensors hold on the kind of device (``cuda``, ``cpu``), as far as Python has an object of them.

    Names are those of the session's variables and of the frames of ``error``. It takes ``LIMIT_S`` at most, and some.
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
    held = [
        LiveMemory(block.size, block.what, [name + lines.get(name, "") for name in block.names[:3]])
        for block in found
    ]
    return Alive(held, len(blocks), sum(block.size for block in blocks.values()), whole)


def held_lines(device: str, error: Optional[BaseException] = None) -> List[str]:
    """The same in words, a line a block; empty where there is none."""
    alive = alive_tensors(device, error)
    if not alive.blocks:
        return []
    lines = [
        f"{size_text(alive.size)} in {alive.blocks:,} blocks have a tensor in Python; what else is held is mostly what "
        "autograd keeps for the backward pass. The largest:"
    ]
    lines += [
        f"  {size_text(one.size):>10}  {one.what}  {', '.join(one.names) or _UNNAMED}"
        for one in alive.largest
    ]
    if not alive.whole:
        lines.append(f"  (not all objects were looked at in {LIMIT_S:g} s)")
    return lines


def allocator_line(cuda: Any) -> str:
    """What CUDA's allocator says of the present device; empty where the driver does not answer."""
    try:
        device = cuda.current_device()
        stats = cuda.memory_stats(device)
        free, total = cuda.mem_get_info(device)
    except (RuntimeError, AssertionError, AttributeError):
        return ""  # after a failure the driver may be in trouble
    said = [
        f"{size_text(int(stats.get('allocated_bytes.all.current', 0)))} held by tensors "
        f"({size_text(int(stats.get('allocated_bytes.all.peak', 0)))} at the peak)",
        f"{size_text(int(stats.get('reserved_bytes.all.current', 0)))} reserved by torch, "
        f"{size_text(int(stats.get('inactive_split_bytes.all.current', 0)))} of it free in split blocks",
        f"{size_text(free)} of {size_text(total)} free on the device",
    ]
    retries = int(stats.get("num_alloc_retries", 0))
    if retries:
        said.append(f"{retries} allocations waited for cached memory to be given back")
    return f"cuda:{device}: " + "; ".join(said) + "."


def size_text(size: int) -> str:
    """Bytes in words."""
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
    """Where its memory is; 0 for another device, and for tensors without memory of their own."""
    try:
        return int(_storage(tensor).data_ptr()) if tensor.device.type == device else 0
    except Exception:
        return 0  # sparse, fake and wrapper tensors have no storage, and a subclass may raise anything


def _storage(tensor: Any) -> Any:
    # torch before 2.0 has ``storage`` alone.
    return tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()._untyped()


def _named(error: Optional[BaseException]) -> Iterator[Tuple[str, Any]]:
    """Tensors by the names that lead to them: locals where the error passed, innermost first, then variables."""
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
    """By name, the line of the latest cell that set its variable, such as `` ([5] line 2)``."""
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
    # Magics leave their lines, so that all others keep their numbers.
    lines = ["" if line.startswith(("%", "!")) else line for line in source.splitlines()]
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
