"""Serve a judge for the demo: a program that marks by the likeness of words, by OpenAI's chat completions.

It stands in for a larger model, so that the demo needs no account: python judge.py 8090
"""

from __future__ import annotations

import json
import re
import sys
from difflib import SequenceMatcher
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Letters that two words share, from which on they count as one word.
LIKE = 0.8


def is_like(expected: str, answer: str) -> bool:
    """Return whether the answer has the expected words, or words with nearly the same letters.

    >>> is_like("Yaoundé", "The capital is Yaounde."), is_like("Lima", "Cusco")
    (True, False)
    """
    wanted, given = (re.findall(r"\w+", text.casefold()) for text in (expected, answer))
    parts = [" ".join(given[at : at + len(wanted)]) for at in range(len(given))]
    return any(SequenceMatcher(None, " ".join(wanted), part).ratio() >= LIKE for part in parts)


def judged(text: str) -> str:
    """Return the judgement of the last message of a rubric: the expected and the given answer stand between tags."""
    expected, answer = (
        re.search(rf"<{tag}>\n(.*?)\n?</{tag}>", text, re.DOTALL) for tag in ("expected", "answer")
    )
    if expected is None or answer is None:
        return "There is no expected answer."
    like = is_like(expected[1], answer[1])
    reason = f"The answer {'has' if like else 'does not have'} words like {expected[1]}."
    return json.dumps({"reason": reason, "mark": 2 if like else 1})


class Judge(BaseHTTPRequestHandler):
    """Answers ``POST /v1/chat/completions``."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Judge the last message."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        message = {"role": "assistant", "content": judged(asked["messages"][-1]["content"])}
        content = json.dumps(
            {"model": "word-likeness-1", "choices": [{"message": message, "finish_reason": "stop"}]}
        )
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content.encode())))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_given: Any) -> None:
        """Print nothing for each call."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Judge).serve_forever()
