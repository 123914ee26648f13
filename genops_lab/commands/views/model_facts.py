"""Show the facts of a model version as a document."""

from __future__ import annotations

from genops_lab.registry.files.models import ModelFacts, ModelField, Verdict

from ..document import Block, Cell, Column, Document, Facts, Lines, Note, Row, Table, Tone, size

SHOWN_FILES = 20
_VERDICTS: dict[Verdict, tuple[str, Tone]] = {
    "data": ("data only", "good"),
    "unknown": ("not known", "busy"),
    "code": ("runs code", "busy"),
    "refused": ("refused", "bad"),
}


def version_facts(name: str, version: str, found: ModelFacts) -> Document:
    """``models show --version``."""
    blocks: list[Block] = [
        Facts(
            [
                ("model", name),
                ("version", version),
                ("files", Cell(found.headline, _VERDICTS[found.verdict][1])),
                ("what to do", found.advice),
                ("format", ", ".join(found.formats)),
                ("parameters", parameters(found)),
                ("size", f"{size(found.size_bytes)} in {found.file_count} files"),
                ("architecture", found.architecture),
                ("context", f"{found.context_length:,} tokens" if found.context_length else ""),
                ("base model", found.base_model),
                ("licence", found.licence),
                ("flavors", ", ".join(found.flavors)),
                *_signature(found),
                ("requirements", ", ".join(found.requirements)),
            ]
        )
    ]
    if found.input_example:
        blocks += [Note("Input example:", "dim"), Lines(found.input_example.splitlines()[:10])]
    blocks += [Note(each, "bad") for each in found.problems]
    blocks.append(_files(found))
    if not found.complete:
        blocks.append(
            Note("Some files were not read: they are on another machine, or there are too many.", "busy")
        )
    return Document(blocks)


def parameters(found: ModelFacts) -> str:
    """Return the parameters with their types, the most frequent first: ``7.2 B parameters, bf16``.

    >>> parameters(ModelFacts(verdict="data", headline="", parameters=137, dtypes={"bf16": 128, "fp32": 9}))
    '137 parameters, bf16 and fp32'
    """
    if found.parameters is None:
        return found.quantization
    kinds = found.quantization or " and ".join(list(found.dtypes)[:3])
    return f"{count(found.parameters)} parameters, {kinds}"


def count(number: int) -> str:
    """Return a count in words of the field.

    >>> [count(each) for each in (137, 66_955_010, 7_241_732_096)]
    ['137', '67.0 M', '7.2 B']
    """
    for unit, name in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return str(number)


def _signature(found: ModelFacts) -> list[tuple[str, str | Cell]]:
    if found.signature is None:
        return []
    named = {
        "inputs": found.signature.inputs,
        "outputs": found.signature.outputs,
        "params": found.signature.params,
    }
    return [(name, _fields(fields)) for name, fields in named.items()]


def _fields(fields: list[ModelField]) -> str:
    shown = ", ".join(f"{each.name}: {each.type}" if each.name else each.type for each in fields[:10])
    return f"{shown} and {len(fields) - 10} more" if len(fields) > 10 else shown


def _files(found: ModelFacts) -> Table:
    rows: list[Row] = [
        [each.path, each.format, size(each.size_bytes), Cell(*_VERDICTS[each.verdict]), each.reason]
        for each in found.files[:SHOWN_FILES]
    ]
    others = found.file_count - SHOWN_FILES
    if others > 0:
        rows.append([f"and {others} more", "", "", "", ""])
    columns = [
        Column("file", shrinks=True),
        Column("format", leaves=1),
        Column("size", right=True),
        Column("loading"),
        Column("reason", shrinks=True, folds=True),
    ]
    return Table(columns, rows, empty="This version has no files.")
