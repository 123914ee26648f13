"""Fit values to MLflow's limits: cut or rename them, and write a note."""

from __future__ import annotations

import hashlib
import math
import posixpath
import re
from typing import Any

MAX_KEY = 250
MAX_PARAM_BYTES = 6000
MAX_TAG_BYTES = 8000
MAX_NAME = 500
MAX_DATASET_DIGEST = 36
MAX_DATASET_TEXT = 65_000
#: Beyond the year 5000, which only a wrong clock gives; milliseconds still fit MLflow's columns.
_LATEST_MOMENT = 1e11
_CUT = "…(cut)"
_REFUSED_IN_KEYS = re.compile(r"[^/\w.\- :]")
_INTEGER = re.compile(r"[+-]?\d{1,300}", re.ASCII)
_RUN_KEY = re.compile(r"[A-Za-z0-9][\w\-]{0,63}", re.ASCII)
_SPELLED = {"nan": math.nan, "inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}

Notes = list[str]


def is_run_key(text: str) -> bool:
    """Return whether ``text`` can name a tracked run (and a file of its spool)."""
    return _RUN_KEY.fullmatch(text) is not None


def fitting_key(key: str, notes: Notes) -> str:
    """Return a name that MLflow accepts for a parameter, metric or tag; a note if it changed."""
    fitted = _REFUSED_IN_KEYS.sub("_", key)
    normal = posixpath.normpath(fitted).lstrip("/") if fitted else ""
    if normal != fitted or normal.startswith("..") or normal in ("", "."):
        fitted = normal.replace("..", "_").strip("./ ") or "_"
    if len(fitted) > MAX_KEY:
        # Long names often differ only at the end: a digest keeps them apart.
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        fitted = f"{fitted[: MAX_KEY - 9].rstrip('/ ')}-{digest}"
    if fitted != key:
        notes.append(f"MLflow does not accept the name {key[:60]!r}. It is kept as {fitted[:60]!r}.")
    return fitted


def fitting_value(value: object, limit_bytes: int, what: str, notes: Notes) -> str:
    """Return the value as text of at most ``limit_bytes`` in UTF-8; a note if it was cut."""
    text = value if isinstance(value, str) else str(value)
    # MLflow counts characters for parameters and bytes in some stores: the smaller limit fits all.
    encoded = text.encode()
    if len(encoded) <= limit_bytes:
        return text
    notes.append(f"{what} had {len(encoded)} bytes and was cut to {limit_bytes}.")
    return encoded[: limit_bytes - len(_CUT.encode())].decode("utf-8", "ignore") + _CUT


def portable(value: Any) -> Any:
    """Return the same JSON value without what other processes cannot read: lone surrogates, huge integers."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and value.bit_length() > 63:
        return str(value)
    if isinstance(value, dict):
        return {portable(str(key)): portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [portable(item) for item in value]
    return value


def number(value: Any) -> float | None:
    """Return a metric's value: None, and spelled-out NaN, infinities and huge integers, become floats.

    Returns None for a value that is not a number.
    """
    if value is None:
        return math.nan
    if isinstance(value, str) and value.strip().lower() in _SPELLED:
        return _SPELLED[value.strip().lower()]
    if isinstance(value, (bool, int, float)):
        return float(value)
    return float(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else None


def moment(value: Any) -> float | None:
    """Return a time in seconds since 1970 that MLflow can store, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _LATEST_MOMENT:
        return None
    return float(value)


def artifact_path(path: str) -> str | None:
    """Return a relative path below a run's artifacts, or None if it leaves them."""
    normal = posixpath.normpath(path.replace("\\", "/"))
    if not path or "\0" in path or normal in (".", "..") or normal.startswith(("../", "/")) or ":" in normal:
        return None
    return normal if all(len(part.encode()) <= 240 for part in normal.split("/")) else None
