"""Wire types of the facts in a version's files."""

from __future__ import annotations

from typing import Literal

import msgspec

#: ``data`` cannot run code. ``code`` runs code when it is loaded. ``unknown`` is no format that GenOps Lab knows to be
#: data, or was not read. ``refused`` is damaged, or built to mislead who reads it.
Verdict = Literal["data", "code", "unknown", "refused"]

#: The worst last.
VERDICTS: tuple[Verdict, ...] = ("data", "unknown", "code", "refused")


class FileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A file with its size in bytes, its format by content, its verdict, and the reason for the verdict."""

    path: str
    size_bytes: int
    format: str
    verdict: Verdict
    reason: str = ""


class ModelField(msgspec.Struct, frozen=True, kw_only=True):
    """An input, an output or a parameter, such as ``x`` of type ``float32[?, 64]``. The name may be empty."""

    name: str = ""
    type: str


class ModelSignature(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs, outputs and parameters of a model."""

    inputs: list[ModelField] = []
    outputs: list[ModelField] = []
    params: list[ModelField] = []


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The facts in a version's files, read without loading them. A fact that is not known is empty or null.

    ``verdict`` is the worst of all files, ``headline`` says it in words, and ``advice`` says what to do. ``files``
    has the worst first, at most 500 of ``file_count``. ``parameters`` counts the values of all weights, ``dtypes`` by
    type. ``problems`` are sentences about descriptions that cannot be read. ``complete`` is false if files were not
    read.
    """

    verdict: Verdict
    headline: str
    advice: str = ""
    formats: list[str] = []
    size_bytes: int = 0
    file_count: int = 0
    files: list[FileFacts] = []
    parameters: int | None = None
    dtypes: dict[str, int] = {}
    quantization: str = ""
    architecture: str = ""
    context_length: int | None = None
    flavors: list[str] = []
    signature: ModelSignature | None = None
    input_example: str = ""
    requirements: list[str] = []
    licence: str = ""
    base_model: str = ""
    problems: list[str] = []
    complete: bool = True
