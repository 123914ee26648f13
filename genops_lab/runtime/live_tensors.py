"""What holds memory without a recording: the largest tensors that are alive, by the names that lead to them."""

from __future__ import annotations

import ast
import gc
import os
import time
from types import TracebackType
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .cells import executed_cells
from .display import shell

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
