"""Start the agent over a new connection, and upload it first where the host does not have it.

The command is ``exec PYTHON -c '...' SHA NONCE``, one line that sh, bash, zsh, fish and tcsh read alike.
First the host's side answers with one line, ``\\0GENOPS0 NONCE {json}\\n``. The nonce distinguishes the answer
from what the shell's rc files print. The answers:

``{"have": path}``          the agent is on the host and starts: its stream follows
``{"need": sha}``           send an 8-byte length and the zip; ``have`` or ``error`` follows
``{"error": code, ...}``    why not (``old_python``, ``disk_full``, ``read_only``, ``foreign_folder``, ...)

A host that has the agent costs no round trip: it sends ``have`` and starts the agent.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import struct
import zlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from .errors import AgentRefused, LinkError

#: Any Python can parse this, 2.7 too, so that an old one can report its version.
HOST_PROGRAM = r'''
import errno, json, os, stat, sys

SHA, NONCE = sys.argv[1], sys.argv[2]


def say(answer):
    data = ("\0GENOPS0 " + NONCE + " " + json.dumps(answer) + "\n").encode("ascii")
    while data:
        data = data[os.write(1, data):]


def refuse(code, message, **more):
    say(dict(more, error=code, message=message))
    sys.exit(3)


def take(count):
    pieces = []
    while count:
        piece = os.read(0, min(count, 1 << 20))
        if not piece:
            sys.exit(4)
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def candidates():
    chosen = os.environ.get("GENOPS_AGENT_DIR")
    if chosen:
        return [chosen]
    name = "genops-lab-%d" % os.getuid()
    return [os.path.join(os.path.expanduser("~"), ".cache", "genops-lab"),
            os.path.join("/var/tmp", name), os.path.join("/tmp", name)]


def own(path, kind):
    """Check that the path belongs to this user and is not a link, so that nobody else wrote it."""
    found = os.lstat(path)
    if not kind(found.st_mode) or found.st_uid != os.getuid():
        raise OSError(errno.EPERM, "it is not a plain file or folder of yours", path)
    if found.st_mode & 0o077:
        os.chmod(path, found.st_mode & 0o700)


def whole(path):
    import hashlib
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest() == SHA


def there(folder):
    path = os.path.join(folder, "agent-" + SHA + ".pyz")
    try:
        own(folder, stat.S_ISDIR)
        own(path, stat.S_ISREG)
        return path if whole(path) else None
    except OSError:
        return None


def put(folder, data):
    if not os.path.isdir(folder):
        parent = os.path.dirname(folder)
        if not os.path.isdir(parent):
            os.makedirs(parent, 0o700)
        try:
            os.mkdir(folder, 0o700)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
    own(folder, stat.S_ISDIR)
    path = os.path.join(folder, "agent-" + SHA + ".pyz")
    temporary = os.path.join(folder, ".agent-%s-%d" % (NONCE, os.getpid()))
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            rest = data
            while rest:
                rest = rest[os.write(handle, rest):]
            os.fsync(handle)
        finally:
            os.close(handle)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path


def why_not(failures):
    numbers = [error.errno for _, error in failures]
    detail = "; ".join("%s: %s" % (folder, error.strerror or error) for folder, error in failures)
    if errno.ENOSPC in numbers or errno.EDQUOT in numbers:
        refuse("disk_full", detail)
    if errno.EPERM in numbers:
        refuse("foreign_folder", detail)
    if errno.EROFS in numbers or errno.EACCES in numbers:
        refuse("read_only", detail)
    refuse("agent_refused", detail)


def main():
    if sys.version_info < (3, 8):
        refuse("old_python", "%d.%d.%d" % sys.version_info[:3], path=sys.executable or "")
    path = None
    for folder in candidates():
        path = path or there(folder)
    if path is None:
        import hashlib
        import struct
        say({"need": SHA})
        data = take(struct.unpack("!Q", take(8))[0])
        if hashlib.sha256(data).hexdigest() != SHA:
            refuse("damaged", "The agent did not arrive as it was sent.")
        failures = []
        for folder in candidates():
            try:
                path = put(folder, data)
                break
            except OSError as error:
                failures.append((folder, error))
        if path is None:
            why_not(failures)
    say({"have": path})
    import runpy
    sys.argv = [path, "attach"]
    runpy.run_path(path, run_name="__main__")


main()
'''

# No quote, backslash, newline or exclamation mark: some shell gives each another meaning. With the empty
# entry of sys.path, Python would import a ~/base64.py.
_LOADER = (
    "import sys;sys.path=[p for p in sys.path if p];import zlib,base64;"
    "exec(zlib.decompress(base64.b64decode({})))"
)
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")
_PACKED = base64.b64encode(zlib.compress(HOST_PROGRAM.encode(), 9)).decode()

#: Bytes that the shell may print before the agent's first line.
MAX_NOISE = 64 * 1024
#: Seconds for the host's Python to answer, and again for the upload of the agent. The first also counts the
#: time in which ssh waits for a confirmation on a telephone.
PATIENCE_S = 120.0

_REFUSALS = {
    "disk_full": (
        "The disk of {target} is full; the agent cannot be written: {detail}.",
        "Free some space on the host (a few hundred kB are enough), or set GENOPS_AGENT_DIR on the "
        "host to a folder on another disk.",
    ),
    "read_only": (
        "The agent cannot be written on {target}: {detail}.",
        "Make one of these folders writable, or set GENOPS_AGENT_DIR on the host to a folder that is.",
    ),
    "foreign_folder": (
        "The agent's folder on {target} is not safe to use: {detail}.",
        "Check who made the folder, and remove it on the host. Or set GENOPS_AGENT_DIR on the host to "
        "a folder of your own.",
    ),
    "damaged": ("The agent was damaged on its way to {target}.", "Connect again."),
}


def loader() -> str:
    """Return the program for ``python -c``; its arguments are the agent's SHA-256 and a nonce."""
    return _LOADER.format(f'"{_PACKED}"')


def quoted(python: str) -> str:
    """Quote the interpreter's path for any shell; ``~/`` stays outside the quotes, so that the shell expands
    it.

    Raises AgentRefused for a path that no quoting makes the same in all shells.
    """
    if any(character in python for character in "\\!\n'"):
        raise AgentRefused(
            f"The path {python!r} cannot be quoted for every shell.",
            hint="Name an interpreter whose path has no quote, backslash or exclamation mark. A "
            "symbolic link will do.",
        )
    home, rest = ("~/", python[2:]) if python.startswith("~/") else ("", python)
    plain = rest.replace("/", "").replace("-", "").replace("_", "").replace(".", "")
    return home + (rest if plain.isalnum() and plain.isascii() else f"'{rest}'")


def command(python: str, sha: str, nonce: str) -> list[str]:
    """Return the program and its arguments, for a host that starts them without a shell."""
    return [python, "-c", loader(), sha, nonce]


def shell_line(command: Sequence[str]) -> str:
    """Return a command as one line for any remote shell; only the first word may need more than single
    quotes."""
    words = [word if _PLAIN.fullmatch(word) else f"'{word}'" for word in command[1:]]
    return " ".join(["exec", quoted(command[0]), *words])


class NoAnswer(Exception):
    """The stream ended before the host's side answered; ``noise`` is what the shell printed."""

    def __init__(self, noise: bytes) -> None:
        super().__init__("the stream ended")
        self.noise = noise


async def start(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    target: str,
    nonce: str,
    payload: bytes,
    asking: Callable[[], bool],
) -> None:
    """Wait until the agent has started at the other end; afterwards the reader has the agent's own stream.

    ``asking`` returns whether a person is answering a question: that time does not count. Raises NoAnswer,
    :class:`~genops_lab.hosts.link.errors.LinkError`, OSError.
    """
    marker = f"\0GENOPS0 {nonce} ".encode()
    await _patiently(_skip_noise(reader, marker, target), target, asking)
    answer = await _line(reader)
    if "need" in answer:
        writer.write(struct.pack("!Q", len(payload)) + payload)
        await _patiently(_skip_noise(reader, marker, target), target, asking)
        answer = await _line(reader)
    if "have" not in answer:
        raise refusal(target, answer)


async def _patiently(answer: Coroutine[Any, Any, None], target: str, asking: Callable[[], bool]) -> None:
    task = asyncio.ensure_future(answer)
    left = PATIENCE_S
    try:
        while left > 0:
            await asyncio.wait([task], timeout=0.5)
            if task.done():
                return task.result()
            left -= 0.0 if asking() else 0.5
    finally:
        task.cancel()
    raise AgentRefused(
        f"{target} did not start the agent within {PATIENCE_S:.0f} s.",
        hint="Look for a command in the host's rc files (~/.bashrc, ~/.zshenv, ...) that waits, and "
        "check the network.",
    )


async def _skip_noise(reader: asyncio.StreamReader, marker: bytes, target: str) -> None:
    try:
        noise = await reader.readuntil(marker)
    except asyncio.IncompleteReadError as error:
        raise NoAnswer(error.partial) from None
    except asyncio.LimitOverrunError as error:
        raise _too_loud(await reader.read(error.consumed), target) from None
    if len(noise) > MAX_NOISE + len(marker):
        raise _too_loud(noise[: -len(marker)], target)


def _too_loud(noise: bytes, target: str) -> LinkError:
    return AgentRefused(
        f"The login shell of {target} printed more than {MAX_NOISE // 1024} KiB before Python started. "
        f"It ended with: {tail(noise)}",
        hint="Make its rc files print only in interactive shells.",
    )


async def _line(reader: asyncio.StreamReader) -> dict[str, Any]:
    try:
        answer = json.loads(await reader.readuntil(b"\n"))
    except asyncio.IncompleteReadError as error:
        raise NoAnswer(error.partial) from None
    except (asyncio.LimitOverrunError, ValueError):
        answer = None
    return (
        answer if isinstance(answer, dict) else {"error": "agent_refused", "message": "the answer is invalid"}
    )


def refusal(target: str, answer: dict[str, Any]) -> LinkError:
    """Return the host's ``error`` as an exception."""
    code, detail = str(answer.get("error", "")), str(answer.get("message", ""))[:1000]
    if code == "old_python":
        where = f" ({answer['path']})" if answer.get("path") else ""
        return LinkError.of(
            code,
            f"{target} has Python {detail}{where}; the agent needs 3.8 or later.",
            "Give the target another interpreter, such as one of an environment made with conda, pyenv or uv.",
        )
    message, hint = _REFUSALS.get(
        code, ("The agent cannot be written on {target}: {detail}.", "Check that folder on the host.")
    )
    return AgentRefused(message.format(target=target, detail=detail), hint=hint, code=code or None)


def tail(data: bytes, size: int = 300) -> str:
    """Return the end of what a shell printed, in one line, without control characters."""
    text = data[-4 * size :].decode(errors="replace")
    return "".join(c if c.isprintable() else " " for c in text).strip()[-size:] or "(nothing)"
