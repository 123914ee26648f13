"""The verdict on one file, with what its header says."""

from __future__ import annotations

from dataclasses import dataclass, field

from .models import VERDICTS, ModelField, Verdict

PICKLE = "pickle"
TORCH = "PyTorch pickle"
#: Formats that Python's unpickler reads.
PICKLES = frozenset({PICKLE, TORCH, "joblib pickle", "NumPy objects"})


@dataclass(frozen=True, kw_only=True)
class Header:
    """The facts about the model in one header."""

    dtypes: dict[str, int] = field(default_factory=dict)
    quantization: str = ""
    architecture: str = ""
    context_length: int | None = None
    #: Layers, KV heads, and the sizes of a key and of a value: what the KV cache of a token has.
    attention: tuple[int, int, int, int] | None = None
    licence: str = ""
    base_model: str = ""
    inputs: tuple[ModelField, ...] = ()
    outputs: tuple[ModelField, ...] = ()
    #: Paths of the files, relative to this one, that hold its weights.
    externals: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A verdict. ``reason`` is a sentence about the file that begins with "It", or empty."""

    format: str
    verdict: Verdict
    reason: str = ""
    header: Header | None = None
    #: Whether Python's unpickler reads the file or a part of it.
    pickle: bool = False


def worse(one: Verdict, other: Verdict) -> Verdict:
    """Return the worse of two verdicts."""
    return max(one, other, key=VERDICTS.index)


def data(format: str, reason: str = "", header: Header | None = None) -> Judged:
    """Return the verdict "cannot run code"."""
    return Judged(format=format, verdict="data", reason=reason, header=header)


def code(format: str, reason: str, *, pickle: bool = False) -> Judged:
    """Return the verdict "runs code when it is loaded"."""
    return Judged(format=format, verdict="code", reason=reason, pickle=pickle)


def unknown(format: str, reason: str) -> Judged:
    """Return the verdict "not known to be data"."""
    return Judged(format=format, verdict="unknown", reason=reason)


def refused(format: str, reason: str, *, pickle: bool = False) -> Judged:
    """Return the verdict "damaged, or built to mislead"."""
    return Judged(format=format, verdict="refused", reason=reason, pickle=pickle)
