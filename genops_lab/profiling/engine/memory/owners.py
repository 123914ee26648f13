"""Find the owner and the category of an allocation from its frames."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from ...models import Place, Site
from ...models.memory import Category

#: Most frames of an owner in a summary.
MOST_FRAMES = 12
#: Owner of frames without a line of the user: memory of CUDA graphs, of the backward pass's threads, ...
NO_LINE = "(no Python line of your code)"
#: Owner of blocks that were allocated before the recording.
UNKNOWN = "(allocated before the recording)"

_LIBRARY = re.compile(r"[/\\](?:site-packages|dist-packages|torch)[/\\]")
_FUNCTIONS: tuple[tuple[Category, re.Pattern[str]], ...] = (
    ("autocast", re.compile(r"at::autocast::cached_cast")),
    ("gradients", re.compile(r"torch::autograd::AccumulateGrad")),
    ("backward", re.compile(r"torch::autograd::Engine|_engine_run_backward")),
)
_FILES: tuple[tuple[Category, re.Pattern[str], re.Pattern[str]], ...] = (
    ("optimizer", re.compile(r"[/\\]torch[/\\]optim[/\\]"), re.compile("")),
    (
        "parameters",
        re.compile(r"[/\\]torch[/\\]nn[/\\]modules[/\\]"),
        re.compile(r"__init__|_apply|convert|cuda|to|to_empty"),
    ),
    ("activations", re.compile(r"[/\\]torch[/\\]nn[/\\]modules[/\\]module\.py$"), re.compile("_call_impl")),
)


@dataclass(frozen=True)
class Cell:
    """A notebook's cell, as its kernel describes it. ``name`` is its number as the notebook shows it,
    ``[5]``; ``lines`` are texts by number."""

    name: str
    id: str
    lines: Mapping[str, str]

    @staticmethod
    def of(found: Any) -> Cell | None:
        """Read a cell from the data that the kernel put into a snapshot; None for invalid data."""
        if not isinstance(found, dict) or not isinstance(found.get("count"), int):
            return None
        lines = found.get("lines")
        texts = (
            {key: text for key, text in lines.items() if isinstance(text, str)}
            if isinstance(lines, dict)
            else {}
        )
        given = found.get("id")
        return Cell(f"[{found['count']}]", given if isinstance(given, str) else "", texts)


@dataclass(frozen=True)
class Owner:
    """The owner of an allocation."""

    name: str
    place: Place | None
    category: Category
    stack: tuple[str, ...]

    @property
    def key(self) -> tuple[str, int, str]:
        """Return one key for all allocations of a line."""
        return (self.place.file, self.place.line, self.name) if self.place else ("", 0, self.name)


@dataclass
class Tally:
    """Memory in use, by line."""

    _found: dict[tuple[str, int, str], _Held] = field(default_factory=dict)

    def add(self, who: Owner, size: int) -> None:
        """Count a block."""
        tally = self._found.setdefault(who.key, _Held(who))
        tally.bytes += size
        tally.blocks += 1

    def sites(self, most: int) -> list[Site]:
        """Return the largest owners; among equals, the oldest first."""
        ranked = sorted(self._found.values(), key=lambda tally: -tally.bytes)[:most]
        return [site_of(tally.who, tally.bytes, tally.blocks, tally.who.category) for tally in ranked]


@dataclass
class _Held:
    who: Owner
    bytes: int = 0
    blocks: int = 0


def site_of(who: Owner, size: int, blocks: int, category: Category) -> Site:
    """Return the wire form of an owner's memory."""
    stack = list(who.stack)
    return Site(name=who.name, bytes=size, blocks=blocks, place=who.place, stack=stack, category=category)


class Frames:
    """Reads the frames of allocations. A snapshot shares frames, so each is read once.

    ``cells`` maps the file name of a frame to the notebook's cell.
    """

    def __init__(self, cells: Mapping[str, Cell] | None = None) -> None:
        self._cells = cells or {}
        self._whose: dict[int, Owner] = {}
        self._stacks: dict[tuple[int, ...], Owner] = {}
        self._frames: dict[int, _Frame] = {}

    def owner_of(self, frames: Any) -> Owner:
        """Return the owner. The user's line is that of the innermost Python file outside torch and installed
        packages."""
        if not isinstance(frames, list) or not frames:
            return _NO_OWNER
        # The snapshot keeps lists and frames alive while it is read, so an id identifies one of them.
        known = self._whose.get(id(frames))
        if known is None:
            stack = tuple(map(id, frames))
            known = self._stacks.get(stack)
            if known is None:
                known = self._stacks[stack] = self._read(frames)
            self._whose[id(frames)] = known
        return known

    def _read(self, frames: list[Any]) -> Owner:
        read = [self._frame(frame) for frame in frames]
        user = next((frame for frame in read if frame.is_user), None)
        stack = tuple(self._text(frame) for frame in read if frame.is_python)[:MOST_FRAMES]
        if user is None:
            return Owner(NO_LINE, None, _category(read), stack)
        cell = self._cells.get(user.file)
        if cell is None:
            place = Place(file=user.file, line=user.line, function=user.function)
            return Owner(user.text, place, _category(read), stack)
        text = cell.lines.get(str(user.line), "")
        place = Place(file=cell.name, line=user.line, function=user.function, cell=cell.id, text=text)
        return Owner(self._text(user), place, _category(read), stack)

    def _text(self, frame: _Frame) -> str:
        cell = self._cells.get(frame.file)
        if cell is None:
            return frame.text
        function = "" if frame.function.startswith("<") else f" in {frame.function}"
        return f"{Place(file=cell.name, line=frame.line).where}{function}"

    def _frame(self, frame: Any) -> _Frame:
        known = self._frames.get(id(frame))
        if known is None:
            known = self._frames[id(frame)] = _Frame.of(frame)
        return known


@dataclass(frozen=True)
class _Frame:
    file: str
    line: int
    function: str
    is_python: bool
    is_user: bool
    hint: Category

    @property
    def text(self) -> str:
        name = self.file.replace("\\", "/").rpartition("/")[2]
        return f"{name}:{self.line}:{self.function}"

    @staticmethod
    def of(frame: Any) -> _Frame:
        given = frame if isinstance(frame, dict) else {}
        file, function, line = (given.get(name) for name in ("filename", "name", "line"))
        file = file if isinstance(file, str) else ""
        function = function if isinstance(function, str) else ""
        python = file.endswith(".py")
        return _Frame(
            file=file,
            line=line if isinstance(line, int) else 0,
            function=function,
            is_python=python,
            is_user=python and not _LIBRARY.search(file),
            hint=_hint(file, function),
        )


def _hint(file: str, function: str) -> Category:
    for category, pattern in _FUNCTIONS:
        if pattern.search(function):
            return category
    for category, where, what in _FILES:
        if where.search(file) and (not what.pattern or what.fullmatch(function)):
            return category
    return ""


#: All categories; the last one means not known.
CATEGORIES: tuple[Category, ...] = get_args(Category)

#: The first category that matches a frame counts. A forward pass that the backward pass runs again is part of
#: the backward pass.
_PRECEDENCE: tuple[Category, ...] = (
    "autocast", "gradients", "optimizer", "backward", "parameters", "activations",
)  # fmt: skip


def _category(frames: list[_Frame]) -> Category:
    hints = {frame.hint for frame in frames}
    return next((category for category in _PRECEDENCE if category in hints), "")


_NO_OWNER = Owner(NO_LINE, None, "", ())
BEFORE = Owner(UNKNOWN, None, "", ())
