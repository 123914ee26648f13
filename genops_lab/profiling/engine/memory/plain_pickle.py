"""Read pickles of plain containers without Python's pickle: nothing is looked up, called or built.

Memory snapshots are pickles, and unpickling runs code that the file names. So this module reads the format
itself: only dicts with text keys, lists, tuples, texts, numbers and truth values. It refuses every other
instruction by name. The result is bounded by the size of the file, whatever the file says.

Python's own unpickler in C with no classes allowed would run no code either, but it is not safe. Five bytes
that name a far place of the memo make it take gigabytes. Keys of nested tuples, or of crafted numbers, keep
it hashing for ever. It also makes bytes and sets. Checking a file for all of that takes as long as reading it
here.
"""

from __future__ import annotations

import pickletools
import re
import struct
from typing import Any, NoReturn

from genops_lab.core.errors import InvalidRequest

#: Largest text.
LONGEST_TEXT = 1 << 20
#: Largest number, in bytes; addresses and times take 9 bytes.
LONGEST_INTEGER = 16
#: Least bytes of a file per container with content (a frame takes 16).
BYTES_A_CONTAINER = 4

_EMPTY_LIST, _EMPTY_DICT, _EMPTY_TUPLE = ord("]"), ord("}"), ord(")")
_MARK, _APPEND, _APPENDS, _SETITEM, _SETITEMS = ord("("), ord("a"), ord("e"), ord("s"), ord("u")
_TUPLE, _TUPLE1, _TUPLE3 = ord("t"), 0x85, 0x87
_PUT, _LONG_PUT, _MEMOIZE, _GET, _LONG_GET = ord("q"), ord("r"), 0x94, ord("h"), ord("j")
_INT, _INT1, _INT2, _LONG1, _FLOAT = ord("J"), ord("K"), ord("M"), 0x8A, ord("G")
_SHORT_TEXT, _TEXT, _NONE, _TRUE, _FALSE = 0x8C, ord("X"), ord("N"), 0x88, 0x89
_PROTO, _FRAME, _STOP = 0x80, 0x95, ord(".")
_OLDEST, _NEWEST = 2, 5

#: The frames of an allocation: a run of gets of earlier objects, which are most instructions of a snapshot.
#: Allocations of one line have the same run, so the bytes of a run identify the objects that it pushes.
_run_of_gets = re.compile(rb"(?:h.|j.{4}){8,2000}", re.DOTALL).match
_gets = re.compile(rb"h.|j.{4}", re.DOTALL).findall
#: Most bytes of cached runs.
_REMEMBERED = 32 << 20

_NAMES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
_WOULD = {
    **dict.fromkeys(("GLOBAL", "STACK_GLOBAL"), "load a function or class"),
    **dict.fromkeys(("INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE"), "call a function"),
    "BUILD": "set an object's state",
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), "load a registered class"),
    **dict.fromkeys(("PERSID", "BINPERSID"), "load an object from outside"),
}

_uint16, _uint32, _int32 = (struct.Struct(form).unpack_from for form in ("<H", "<I", "<i"))
_uint64, _double = (struct.Struct(form).unpack_from for form in ("<Q", ">d"))


def load(data: bytes, name: str) -> Any:
    """Return the containers of a pickle (protocols 2 to 5). ``name`` is the file's, for messages.

    Raises InvalidRequest for everything else: objects, damage, more data than a file of this size can have.
    """
    try:
        return _load(data, name)
    except (IndexError, struct.error) as error:
        raise InvalidRequest(
            f"{name} is cut off or damaged.", hint="Copy the file again, or write a new snapshot."
        ) from error
    except UnicodeDecodeError as error:
        raise _damaged(name, "a text is not UTF-8") from error


class _Runs:
    """A cache from the bytes of runs of gets to the objects that they push."""

    def __init__(self, memo: list[Any]) -> None:
        self._memo = memo
        self._known: dict[bytes, list[Any]] = {}
        self._room = _REMEMBERED

    def pushed(self, run: bytes) -> list[Any]:
        """Return the pushed objects as a new list."""
        known = self._known.get(run)
        if known is None:
            memo = self._memo
            known = [
                memo[token[1]] if token[0] == _GET else memo[_uint32(token, 1)[0]] for token in _gets(run)
            ]
            if len(run) <= self._room:
                self._room -= len(run)
                self._known[run] = known
        return known.copy()

    def forget(self) -> None:
        """Clear the cache, because a place of the memo may have changed."""
        self._known.clear()
        self._room = _REMEMBERED


def _load(data: bytes, name: str) -> Any:
    stack: list[Any] = []
    below: list[list[Any]] = []
    memo: list[Any] = []
    runs = _Runs(memo)
    containers = len(data) // BYTES_A_CONTAINER + 8
    at, size = 0, len(data)
    while True:
        operation = data[at]
        at += 1
        # Most frequent first: a snapshot of 100 MB has 25 million instructions.
        if operation == _GET:
            stack.append(memo[data[at]])
            at += 1
        elif operation == _LONG_GET:
            stack.append(memo[_uint32(data, at)[0]])
            at += 4
        elif operation == _MEMOIZE:
            memo.append(stack[-1])
        elif operation == _MARK:
            below.append(stack)
            run = _run_of_gets(data, at)
            if run is None:
                stack = []
            else:
                stack = runs.pushed(run.group())
                at = run.end()
        elif operation == _LONG1:
            length = data[at]
            end = at + 1 + length
            if length > LONGEST_INTEGER or end > size:
                raise _damaged(name, f"the number at byte {at} has {length} bytes")
            stack.append(int.from_bytes(data[at + 1 : end], "little", signed=True))
            at = end
        elif operation == _INT:
            stack.append(_int32(data, at)[0])
            at += 4
        elif operation == _INT1:
            stack.append(data[at])
            at += 1
        elif operation == _INT2:
            stack.append(_uint16(data, at)[0])
            at += 2
        elif operation in (_EMPTY_DICT, _EMPTY_LIST):
            containers -= 1
            if containers < 0:
                raise _damaged(name, "it has more containers than a file of this size can fill")
            stack.append({} if operation == _EMPTY_DICT else [])
        elif operation in (_SETITEMS, _SETITEM):
            if operation == _SETITEMS:
                items, stack = stack, below.pop()
            else:
                items = stack[-2:]
                del stack[-2:]
            keys = items[::2]
            target = stack[-1]
            if type(target) is not dict or len(items) % 2 or any(type(key) is not str for key in keys):
                raise _damaged(name, "a mapping has keys that are not texts")
            target.update(zip(keys, items[1::2], strict=True))
        elif operation in (_APPENDS, _APPEND):
            if operation == _APPENDS:
                items, stack = stack, below.pop()
            else:
                items = [stack.pop()]
            target = stack[-1]
            if type(target) is not list:
                raise _damaged(name, "it appends to something that is not a list")
            target.extend(items)
        elif operation in (_SHORT_TEXT, _TEXT):
            length, start = (data[at], at + 1) if operation == _SHORT_TEXT else (_uint32(data, at)[0], at + 4)
            at = start + length
            if length > LONGEST_TEXT or at > size:
                raise _damaged(name, f"the text at byte {start} has {length:,} bytes")
            stack.append(data[start:at].decode("utf-8", "replace"))
        elif operation in (_TRUE, _FALSE, _NONE):
            stack.append(None if operation == _NONE else operation == _TRUE)
        elif operation == _FLOAT:
            stack.append(_double(data, at)[0])
            at += 8
        elif operation == _TUPLE:
            items, stack = stack, below.pop()
            stack.append(tuple(items))
        elif _TUPLE1 <= operation <= _TUPLE3:
            length = operation - _TUPLE1 + 1
            items = stack[-length:]
            if len(items) < length:
                raise IndexError
            del stack[-length:]
            stack.append(tuple(items))
        elif operation == _EMPTY_TUPLE:
            stack.append(())
        elif operation in (_PUT, _LONG_PUT):
            wide = operation == _LONG_PUT
            place = _uint32(data, at)[0] if wide else data[at]
            at += 4 if wide else 1
            if place > len(memo):
                raise _damaged(name, f"it uses place {place:,} of a memo with {len(memo):,} places")
            memo[place : place + 1] = [stack[-1]]
            runs.forget()
        elif operation == _PROTO:
            if not _OLDEST <= data[at] <= _NEWEST:
                raise _damaged(name, f"it uses pickle protocol {data[at]}")
            at += 1
        elif operation == _FRAME:
            if _uint64(data, at)[0] > size - at - 8:
                raise IndexError
            at += 8
        elif operation == _STOP:
            if below or len(stack) != 1:
                raise IndexError
            return stack[0]
        else:
            _refuse(operation, at - 1, name)


def _refuse(operation: int, at: int, name: str) -> NoReturn:
    instruction = _NAMES.get(operation)
    if instruction is None:
        raise _damaged(name, f"byte {at} is not a pickle instruction")
    would = _WOULD.get(instruction, "create something other than plain containers")
    raise InvalidRequest(
        f"{name} was not opened: at byte {at} it asks to {would} ({instruction}). A memory snapshot has "
        "only lists, mappings, texts and numbers.",
        hint="Do not load the file with pickle or torch.load either, unless you trust its author.",
        code="unsafe_pickle",
    )


def _damaged(name: str, what: str) -> InvalidRequest:
    return InvalidRequest(
        f"{name} is not a memory snapshot, or is damaged: {what}.",
        hint="Give a file from torch.cuda.memory._dump_snapshot.",
    )
