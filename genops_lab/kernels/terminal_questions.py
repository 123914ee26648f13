"""Ask a connection's questions on the terminal, for programs without a Lab (``jupyter console --kernel``)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import getpass
import sys
import threading

from ..hosts.link.questions import ACCEPT, YES_OR_NO, Asker, Nobody, Question


class TerminalAsker:
    """Asks the user at the terminal."""

    async def ask(self, question: Question) -> str | None:
        """Return the answer; None at the end of input or on Ctrl-C."""
        answered: concurrent.futures.Future[str | None] = concurrent.futures.Future()
        # Not in a pool: a program that ends does not wait for an answer.
        threading.Thread(target=_ask, args=(question, answered), daemon=True).start()
        return await asyncio.wrap_future(answered)


def _ask(question: Question, answered: concurrent.futures.Future[str | None]) -> None:
    answer: str | None
    # A host words its prompts: the terminal must not obey control characters in them.
    text = "".join(each if each.isprintable() else " " for each in question.text)
    try:
        if question.kind == "host_key":
            print(text, file=sys.stderr)  # noqa: T201
            said = input(f"Connect to {question.target}, and trust this key from now on? (yes/no) ")
            answer = ACCEPT if said.strip().lower() == ACCEPT else None
        elif question.kind in YES_OR_NO:
            print(question.text, file=sys.stderr)  # noqa: T201
            answer = ACCEPT if input("Do you agree? (yes/no) ").strip().lower() == ACCEPT else None
        elif question.echo:
            answer = input(f"{text} ")
        else:
            answer = getpass.getpass(f"{text} ")
    except (EOFError, KeyboardInterrupt, OSError):
        answer = None
    if not answered.cancelled():
        answered.set_result(answer)


def asker_of_this_process() -> Asker:
    """Return the asker of this process."""
    return TerminalAsker() if sys.stdin and sys.stdin.isatty() and sys.stderr.isatty() else Nobody()
