"""Cost of redaction in CPU milliseconds a kB, and technical lines touched, on files of this environment.

The texts are Python code, and the lists of packages' files with their hashes. Conversations are made from the
same code. Presidio is measured where it is installed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from genops_lab.redaction.documents import DocumentRedactor
from genops_lab.redaction.presidio import recognizer

from .figure import Figure

PACKAGE = Path(__file__).parents[1] / "genops_lab"
TIMES = 5


def figures() -> Iterator[Figure]:
    code = [path.read_text() for path in sorted((PACKAGE / "core").glob("*.py"))]
    spans: list[Any] = [
        {"inputs": json.dumps({"messages": [{"role": "user", "content": text[:1500]}]}), "name": "chat"}
        for text in code
    ]
    yield _cost("redaction of code", DocumentRedactor(), code)
    yield _cost("redaction of spans", DocumentRedactor(people=True), spans)
    recognize = recognizer()
    if recognize is not None:
        with_names = DocumentRedactor(people=True, recognize=recognize)
        with_names.redact(spans[0])
        yield _cost("redaction of spans with presidio", with_names, spans, target=None)
    yield from _touched(code)


def _cost(name: str, redactor: DocumentRedactor, documents: list[Any], target: float | None = 5.0) -> Figure:
    size = sum(len(json.dumps(document, ensure_ascii=False)) for document in documents) / 1000
    costs = []
    for _ in range(TIMES):
        start = time.process_time()
        for document in documents:
            redactor.redact(document)
        costs.append(1000 * (time.process_time() - start) / size)
    return Figure(name=name, unit="CPU ms/kB", values=costs, target=target, notes={"kB": round(size)})


def _touched(code: list[str]) -> Iterator[Figure]:
    redactor = DocumentRedactor(people=True)
    records = [each.read_text("RECORD") or "" for each in metadata.distributions()]
    texts = {
        "code": "\n".join(code).splitlines(),
        "lists of packages' files": [line for record in records for line in record.splitlines()[:200]],
    }
    for name, lines in texts.items():
        changed = sum(redactor.redact(line).document != line for line in lines if line)
        share = 100 * changed / len(lines)
        yield Figure(
            name=f"redaction touches lines: {name}",
            unit="%",
            values=[share],
            target=5.0,
            notes={"lines": len(lines)},
        )
