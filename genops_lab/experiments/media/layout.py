"""Name the artifacts of media by step.

Pictures are named as ``mlflow.log_image(key=, step=)`` of MLflow 3 names them. So MLflow's UI shows ours by
step, and we show those of the user's own calls: ``images/<name>+step+<step>+timestamp+<ms>+<uuid>.png``, and
a small copy ``...+compressed.webp``. Earlier versions wrote ``%`` for ``+`` and ``#`` for the slashes of a
name, now ``~``. Tables are named in the same way below ``tables/``.

Histograms of one name are lines of JSON, 50 in each file: ``histograms/<name>+<series>+<part>.jsonl``.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

IMAGES, TABLES, HISTOGRAMS = "images", "tables", "histograms"
FOLDERS = (IMAGES, TABLES, HISTOGRAMS)
#: Histograms in one file, so that a new one costs little and a thousand make few files.
PER_PART = 50
MAX_NAME = 100
_REFUSED = re.compile(r"[^a-zA-Z0-9_\-./ ]")
_STEPPED = re.compile(
    r"(?P<name>.+)(?P<sign>[+%])step(?P=sign)(?P<step>-?\d{1,19})(?P=sign)timestamp(?P=sign)(?P<at>\d{1,15})(?P=sign)"
    r"(?P<id>[0-9a-fA-F-]{36})(?P<small>(?P=sign)compressed)?\.(?P<ending>\w{1,8})",
    re.ASCII,
)
_PART = re.compile(r"(?P<name>.+)\+(?P<series>[A-Za-z0-9]{1,16})\+(?P<part>\d{5,7})\.jsonl", re.ASCII)


class Stepped(NamedTuple):
    """The parts of a file's name. ``timestamp`` in seconds since 1970."""

    name: str
    step: int
    timestamp: float
    uuid: str
    small: bool


def fitting_name(name: str, notes: list[str]) -> str:
    """Return a name that MLflow accepts for a picture, at most 100 characters; a note if it changed."""
    fitted = _REFUSED.sub("_", name).strip() or "_"
    if len(fitted) > MAX_NAME:
        # Two long names with the same begin stay different.
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        fitted = f"{fitted[: MAX_NAME - 9]}-{digest}"
    if fitted != name:
        notes.append(f"MLflow does not accept the name {name[:60]!r}. It is kept as {fitted[:60]!r}.")
    return fitted


def stepped_name(name: str, step: int, timestamp: float, uuid: str) -> str:
    """Return the file's name without its suffix."""
    return f"{name.replace('/', '~')}+step+{step}+timestamp+{int(timestamp * 1000)}+{uuid}"


def parse_stepped(file_name: str) -> Stepped | None:
    """Return the parts of a file's name; None for a name of another form."""
    found = _STEPPED.fullmatch(file_name)
    if found is None:
        return None
    return Stepped(
        name=_shown(found["name"]),
        step=int(found["step"]),
        timestamp=int(found["at"]) / 1000,
        uuid=found["id"],
        small=found["small"] is not None,
    )


def part_name(name: str, series: str, part: int) -> str:
    """Return the name of a file of histograms."""
    return f"{name.replace('/', '~')}+{series}+{part:05d}.jsonl"


def parse_part(file_name: str) -> str | None:
    """Return the name of the histograms in a file; None for a name of another form."""
    found = _PART.fullmatch(file_name)
    return None if found is None else _shown(found["name"])


def is_media(path: str) -> bool:
    """Return whether an artifact is one of many with the same name, each of another step."""
    folder, _, name = path.partition("/")
    return (folder in (IMAGES, TABLES) and parse_stepped(name) is not None) or (
        folder == HISTOGRAMS and parse_part(name) is not None
    )


def _shown(name: str) -> str:
    return name.replace("~", "/").replace("#", "/")
