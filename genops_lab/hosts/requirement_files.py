"""Find and read the files that describe a project's environment: lock files and requirements. Everything here
blocks."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from genops_lab.core.errors import InvalidRequest, NotFound

from .models import EnvironmentSource, SourceKind

MAX_BYTES = 8 * 1024**2
MAX_FILES = 50
#: Best first: files that fix every version come before files that do not.
_BEST = ("uv.lock", "pylock.toml", "requirements.lock", "requirements.txt")
_CONDA = ("environment.yml", "environment.yaml")
_REQUIREMENTS = re.compile(r"[\w.-]*requirements[\w.-]*\.(txt|lock|in)|requirements\.lock")
_PYLOCK = re.compile(r"pylock(\.[\w-]+)?\.toml")
#: https://TOKEN@host, but not https://${TOKEN}@host, which pip fills in on the host.
_PASSWORD = re.compile(r"https?://(?!\$\{\w+\}(:\$\{\w+\})?@)[^/\s@\"']+@")
_INCLUDE = re.compile(r"\s*(?:-r|-c|--requirement|--constraint)[\s=]+(?P<file>\S+)")
_LOCAL = re.compile(r"\s*(-e\s|--editable\b|\.{0,2}/|\.\s*$|\.\[|~|file:|[A-Za-z0-9._-]+\s*@\s*file:)")
#: Next to uv.lock: files that uv reads for the project and its Python.
_BESIDE = (".python-version", "uv.toml")


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The files that are sent to the host: ``files`` by their paths within the project."""

    kind: SourceKind
    main: str = ""
    files: dict[str, str] = {}


def find(folder: Path, top: Path | None) -> list[EnvironmentSource]:
    """Return the sources of the nearest folder that has some, from ``folder`` up to ``top`` (or to a
    repository's root, or the home). ``preferred`` marks the best one."""
    for level in (folder, *folder.parents):
        found = [_look(level / name) for name in _names(level)]
        if found:
            best = next((each.path for each in found if not each.problem), "")
            return [msgspec.structs.replace(each, preferred=each.path == best) for each in found]
        if level == top or (level / ".git").exists() or level == Path.home():
            break
    return []


def _names(folder: Path) -> list[str]:
    names = [name for name in _BEST if (folder / name).is_file()]
    try:
        others = sorted(each.name for each in folder.iterdir() if each.is_file())
    except OSError:
        return names
    names += [name for name in others if _is_one(name) and name not in names]
    return (names + [name for name in _CONDA if name in others])[:MAX_FILES]


def _is_one(name: str) -> bool:
    return _PYLOCK.fullmatch(name) is not None or (
        _REQUIREMENTS.fullmatch(name) is not None and not name.endswith(".in")
    )


def _look(path: Path) -> EnvironmentSource:
    problem = ""
    try:
        read(path)
    except (InvalidRequest, NotFound) as error:
        problem = f"{error.message} {error.hint}".strip()
    return EnvironmentSource(path=str(path), file=path.name, kind=_kind(path.name), problem=problem)


def _kind(name: str) -> SourceKind:
    if name == "uv.lock":
        return "uv"
    if _PYLOCK.fullmatch(name):
        return "pylock"
    return "conda" if name in _CONDA else "requirements"


def read(path: Path) -> Source:
    """Return all that a host needs of a source. Raises InvalidRequest and NotFound, with a hint."""
    kind = _kind(path.name)
    if kind == "conda":
        raise InvalidRequest(
            f"{path.name} describes a conda environment; GenOps Lab does not build these.",
            hint="Make the environment on the host with conda and give the target its python, or "
            "export a requirements.txt.",
        )
    if kind == "uv":
        files = {name: _text(path.parent / name) for name in ("uv.lock", "pyproject.toml")}
        files |= {name: _text(path.parent / name) for name in _BESIDE if (path.parent / name).is_file()}
    elif kind == "pylock":
        files = {path.name: _text(path)}
    else:
        if not _REQUIREMENTS.fullmatch(path.name) and path.suffix not in (".txt", ".lock"):
            raise InvalidRequest(
                f"{path.name} does not describe an environment.",
                hint="Give a uv.lock, a pylock.toml or a requirements.txt.",
            )
        files = {}
        _collect(path, path.parent.resolve(), files)
    if sum(map(len, files.values())) > MAX_BYTES:
        raise InvalidRequest(f"{path.name} is too large.", hint="Give only a lock file.")
    for name, text in files.items():
        if _PASSWORD.search(text):
            raise InvalidRequest(
                f"{name} has a password or token in an address; GenOps Lab does not send these.",
                hint="Put this index into the host's own pip or uv configuration, and leave it out of "
                "the file.",
            )
    return Source(kind=kind, main=path.name, files=files)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidRequest(f"{path.name} is too large.", hint="Give only a lock file.")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise NotFound(f"{path} does not exist.", hint="Choose one of the project's files.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read: {error}", hint="Choose another source.") from error


def _collect(path: Path, top: Path, files: dict[str, str]) -> None:
    """Collect a requirements file and its includes, which must be in its folder or below."""
    resolved = path.resolve()
    if not resolved.is_relative_to(top):
        raise InvalidRequest(
            f"{path.name} is outside of the project.",
            hint="Move the included file into the folder of the requirements file.",
        )
    name = resolved.relative_to(top).as_posix()
    if name in files:
        return
    if len(files) >= MAX_FILES:
        raise InvalidRequest(
            f"The requirements include more than {MAX_FILES} files.", hint="Give only a lock file."
        )
    files[name] = text = _text(path)
    for line in text.splitlines():
        included = _INCLUDE.match(line)
        if included is not None and "://" not in included["file"]:
            _collect(path.parent / included["file"], top, files)
        elif _LOCAL.match(line):
            raise InvalidRequest(
                f"{name} requires {line.strip()[:80]!r}, which is only on this machine.",
                hint="Leave it out: the notebook's folder carries the project's own code.",
            )
