"""Recognise pickles of every protocol by their opcodes. Nothing is unpickled."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from functools import cache

from .source import Cursor, Damaged, Source

#: Opcodes that are looked at. A pickle that does something harmless for longer is a pickle all the same.
MAX_OPCODES = 20_000
MAX_LINE = 4096
MAX_NAMES = 200
_SHOWN_NAMES = 3
_DOTTED = re.compile(rb"[A-Za-z_][\w.]*")
#: Opcodes that find or call a callable.
_FINDS = frozenset({"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"})
#: Only unpicklers that a library prepares take these, and zip and PNG files begin with one.
_PERSISTENT = frozenset({"PERSID", "BINPERSID"})
_CALLS = frozenset({"REDUCE", "BUILD", "OBJ", "INST", "NEWOBJ", "NEWOBJ_EX"})
_TEXTS = frozenset(
    {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"}
)
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
#: Names that nearly every pickle of a model has. They are left out of the sentence, never of the verdict.
_USUAL = re.compile(
    r"(torch|numpy|sklearn|scipy|pandas|collections|xgboost|lightgbm|cloudpickle|mlflow|joblib|copyreg|_codecs)(\.|$)"
)


@dataclass
class Scan:
    """The opcodes at the start of a source. ``names`` are the globals that they find, as far as they are plain."""

    framed: bool = False
    ended: bool = False
    exhausted: bool = False
    opcodes: int = 0
    finds: int = 0
    calls: int = 0
    names: list[str] = field(default_factory=list)

    @property
    def is_pickle(self) -> bool:
        """Whether an unpickler would take this: a protocol mark, or opcodes that find and call.

        A stream that breaks off is a pickle too, because an unpickler runs all before the break.
        """
        if self.framed:
            return self.opcodes > 1
        return self.exhausted or (self.finds > 0 and (self.calls > 0 or self.ended))


def scan(source: Source) -> Scan:
    """Return what the opcodes at the start of a source are. Raises TooLarge, never for a damaged stream."""
    found = Scan()
    cursor = Cursor(source)
    with contextlib.suppress(Damaged):  # the scan says how far the opcodes went
        _walk(cursor, found)
    return found


def sentence(found: Scan) -> str:
    """Say what a pickle does, and name what it calls."""
    telling = [name for name in dict.fromkeys(found.names) if not _USUAL.match(name)]
    if not telling:
        return "It is a pickle: loading it can run any code."
    shown = ", ".join(telling[:_SHOWN_NAMES])
    return f"It is a pickle: loading it can run any code. It names {shown}."


class _Stack:
    """How many objects are on an unpickler's stack, so that text is not taken for a pickle."""

    def __init__(self) -> None:
        self._depth = 0
        self._marks: list[int] = []

    def apply(self, opcode: _Opcode) -> None:
        """Pop and push as the opcode does. Raises Damaged where an unpickler would fail."""
        if opcode.name == "MARK":
            self._marks.append(self._depth)
            return
        if opcode.name == "POP" and self._marks and self._marks[-1] == self._depth:
            self._marks.pop()
            return
        if opcode.to_mark:
            if not self._marks:
                raise Damaged("It is no pickle.")
            self._depth = self._marks.pop()
        self._depth -= opcode.pops
        if self._depth < (self._marks[-1] if self._marks else 0):
            raise Damaged("It is no pickle.")
        self._depth += opcode.pushes


def _walk(cursor: Cursor, found: Scan) -> None:
    table = _table()
    stack = _Stack()
    texts: list[str] = []
    memo: dict[int, str] = {}
    last: str | None = None
    while found.opcodes < MAX_OPCODES:
        opcode = table.get(cursor.take(1))
        if opcode is None:
            raise Damaged("It is no pickle.")
        name = opcode.name
        if name in _PERSISTENT and not found.framed:
            raise Damaged("It is no pickle.")
        if name == "PROTO":
            if cursor.take(1)[0] > 5:
                raise Damaged("It is no pickle.")
            found.framed = found.framed or found.opcodes == 0
            found.opcodes += 1
            continue
        content = _argument(cursor, opcode)
        cursor.source.budget.step()
        stack.apply(opcode)
        found.opcodes += 1
        if name == "STOP":
            found.ended = True
            return
        if name in _TEXTS:
            last = content.decode("utf-8", "replace").strip("'\"")
            texts = [*texts[-1:], last]
        elif name == "MEMOIZE" or name in _PUTS:
            at = len(memo) if name == "MEMOIZE" else _index(name, content)
            memo[at] = last if last is not None else ""
        elif name in _GETS:
            last = memo.get(_index(name, content), "")
            texts = [*texts[-1:], last]
        else:
            last = None
        if name in _FINDS:
            _note(found, name, content, texts)
        found.calls += name in _CALLS
    found.exhausted = True


def _note(found: Scan, name: str, content: bytes, texts: list[str]) -> None:
    if name in ("GLOBAL", "INST"):
        module, _, attribute = content.partition(b"\n")
        if not (_DOTTED.fullmatch(module) and _DOTTED.fullmatch(attribute)):
            raise Damaged("It is no pickle.")
        known = f"{module.decode()}.{attribute.decode()}"
    elif name == "STACK_GLOBAL" and len(texts) == 2:
        known = ".".join(texts)
    else:
        known = ""
    found.finds += 1
    if known and len(found.names) < MAX_NAMES and known.isprintable() and len(known) < 100:
        found.names.append(known)


def _argument(cursor: Cursor, opcode: _Opcode) -> bytes:
    """Return an opcode's argument; skip what is longer than any name."""
    argument = opcode.argument
    if argument == 0:
        return b""
    if opcode.name in ("GLOBAL", "INST"):
        return cursor.line(MAX_LINE) + b"\n" + cursor.line(MAX_LINE)
    if argument == -1:
        return cursor.long_line(MAX_LINE)
    length = argument if argument > 0 else cursor.number({-2: 1, -3: 4, -4: 4, -5: 8}[argument])
    if length <= MAX_LINE:
        return cursor.take(length)
    cursor.skip(length)
    return b""


def _index(name: str, content: bytes) -> int:
    if name in ("PUT", "GET"):
        return int(content) if content.isdigit() and len(content) < 10 else -1
    return int.from_bytes(content, "little")


@dataclass(frozen=True)
class _Opcode:
    """An opcode: the length of its argument (negative: as ``pickletools`` codes it), and what it does to the stack."""

    name: str
    argument: int
    pops: int
    pushes: int
    to_mark: bool


@cache
def _table() -> dict[bytes, _Opcode]:
    import pickletools
    from pickletools import markobject

    return {
        each.code.encode("latin-1"): _Opcode(
            name=each.name,
            argument=each.arg.n if each.arg else 0,
            pops=(
                each.stack_before.index(markobject)
                if markobject in each.stack_before
                else len(each.stack_before)
            ),
            pushes=len(each.stack_after),
            to_mark=markobject in each.stack_before,
        )
        for each in pickletools.opcodes
    }
