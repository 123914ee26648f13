"""What is said in notebooks and asked on terminals, and whose kernels may be taken without asking."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.session import Session

from genops_lab.hosts.link.questions import Kind, Nobody, Question
from genops_lab.kernels import terminal_questions
from genops_lab.kernels.client.exchange import last_words
from genops_lab.kernels.client.messages import Running, Speaker, note_text
from genops_lab.kernels.live_labs import LiveLabs
from genops_lab.kernels.terminal_questions import TerminalAsker, asker_of_this_process


def test_what_the_lab_says_is_a_message_of_the_kernel() -> None:
    parent = {"msg_id": "cell-1", "msg_type": "execute_request"}
    frames = Speaker(b"key", "hmac-sha256", "k").stream("It ended.", parent)
    session = Session(key=b"key")
    message = session.deserialize(session.feed_identities(frames)[1])
    assert frames[0] == b"kernel.k.stream.stderr"
    assert message["content"] == {"name": "stderr", "text": "It ended.\n"}
    assert message["parent_header"]["msg_id"] == "cell-1"


def test_a_welcome_has_its_topic_first() -> None:
    speaker = Speaker(b"key", "hmac-sha256", "k")
    assert speaker.welcome(b"")[0] == b"<IDS|MSG>" and speaker.welcome(b"status")[0] == b"status"


def test_words_belong_to_the_cell_that_runs() -> None:
    session, running = Session(key=b"key"), Running()
    first, second = (session.msg("execute_request", {"code": code}) for code in "ab")
    for request in (session.msg("kernel_info_request"), first, second):
        running.asked([b"client", *session.serialize(request)])
    assert running.current()["msg_id"] == first["msg_id"]
    reply = session.msg("execute_reply", {"status": "ok"}, parent=first)
    running.answered([b"client", *session.serialize(reply)])
    assert running.current()["msg_id"] == second["msg_id"]
    running.answered([b"client", b"no message"])
    running.clear()
    assert running.current() == {}
    copy = session.serialize(first)[2:]
    running.asked(copy)
    assert running.current()["msg_id"] == first["msg_id"]


def test_requests_without_an_end_are_not_remembered_without_end() -> None:
    running = Running()
    for number in range(3000):
        running.asked([b'{"msg_type": "execute_request", "msg_id": "%d"}' % number, b"{}"])
    assert len(running._headers) <= 1000
    assert int(running.current()["msg_id"]) >= 2000, "the oldest go first"


@pytest.mark.parametrize(
    ("note", "missed", "said"),
    [
        (
            {"kind": "cut", "reason": "size", "messages": 1200, "bytes": 5 * 1024**2},
            True,
            "1,200 messages (5.0 MiB)",
        ),
        ({"kind": "cut", "reason": "age", "messages": 0, "bytes": 0}, True, "Messages, because"),
        ({"kind": "cut", "reason": "size", "messages": 3, "bytes": 9}, False, ""),
        (
            {"kind": "cut", "reason": "too_large", "messages": 1, "bytes": 300 * 1024**2},
            False,
            "One message (300.0 MiB)",
        ),
        ({"kind": "disk_full", "reason": "No space left on device"}, False, "No space left on device"),
        ({"kind": "lease", "text": "Nobody was attached."}, False, "Nobody was attached."),
        ({"kind": "something new"}, False, ""),
    ],
)
def test_notes(note: dict[str, Any], missed: bool, said: str) -> None:
    found = note_text(note, missed=missed)
    assert said in found and bool(said) == bool(found)


def test_an_end_is_said_unless_the_code_itself_ended_the_kernel() -> None:
    assert last_words(0, "It ended by itself (exit code 0).") == ""
    assert last_words(-9, "It was killed.") == "The kernel has ended. It was killed."
    assert last_words(3, "") == "The kernel has ended (exit code 3)."
    assert last_words(None, "") == "The kernel has ended."


def ask(kind: Kind, **fields: Any) -> str | None:
    question = Question(id="1", target="gpu", kind=kind, text="Really?", **fields)
    return asyncio.run(TerminalAsker().ask(question))


def test_questions_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal_questions.getpass, "getpass", lambda prompt: f"hidden: {prompt}")
    typed = ["yes", "no", "code"]
    monkeypatch.setattr("builtins.input", lambda prompt: typed.pop(0))
    assert ask("password") == "hidden: Really? "
    assert ask("host_key", fingerprint="SHA256:x") == "yes"
    assert ask("host_key", fingerprint="SHA256:x") is None
    assert ask("keyboard_interactive", echo=True) == "code"
    assert "Really?" in capsys.readouterr().err


def test_a_host_cannot_drive_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its prompts are shown; what a terminal would obey (here: set the title, go up, forge a line) is not."""
    shown: list[str] = []
    monkeypatch.setattr(terminal_questions.getpass, "getpass", lambda prompt: shown.append(prompt) or "x")
    monkeypatch.setattr("builtins.input", lambda prompt: shown.append(prompt) or "yes")
    evil = "\x1b]0;title\x07\x1b[1A\rPassphrase:\x9b2J"
    for kind, echo in (("keyboard_interactive", True), ("password", False), ("host_key", False)):
        asyncio.run(TerminalAsker().ask(Question(id="1", target="gpu", kind=kind, text=evil, echo=echo)))
    shown.append(capsys.readouterr().err.rstrip("\n"))
    assert len(shown) == 4 and all(text.isprintable() for text in shown)
    assert sum("Passphrase:" in text for text in shown) == 3


def test_the_end_of_input_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(terminal_questions.getpass, "getpass", ended)
    assert ask("passphrase") is None


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert isinstance(asker_of_this_process(), Nobody)


def test_the_clients_of_processes_that_ended_are_known(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from genops_lab.kernels.live_labs import LiveLabs\n"
        "clients = LiveLabs(Path(sys.argv[1])); print(clients.new(), flush=True); sys.stdin.read()"
    )
    own = LiveLabs(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        other = process.stdout.readline().strip()
        assert not own.is_dead(other) and not own.is_own(other)
        process.kill()
    assert own.is_dead(other)
    mine = own.new()
    assert own.is_own(mine) and not own.is_dead(mine)
    assert not own.is_dead("of-another-machine.1") and not own.is_dead("../clients")
