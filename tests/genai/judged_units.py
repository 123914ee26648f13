"""An endpoint that answers, judges and writes, and an evaluation whose judge misreads one rule.

A number without its unit is right for the judge, and wrong for people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.genai.endpoints.limits import Price

from .answering import Answering, answer

ROWS, HALF = 60, 30
WRONG, RIGHT = "wrong", "right"
OLD = "The answer has the right number."
BETTER = "The answer has the right number and its unit. A number without a unit is wrong."
REFUSES = "The answer has its unit. Refuse to judge every third one."
WRITER = "You are an expert prompt engineer"
PRICE = Price(input=1.0, output=1.0)
TOKENS_OF_CALL = 13


def is_right(number: int) -> bool:
    """Return whether people accept an answer: every second one has a unit, three of four have the right number."""
    return number % 4 != 0 and number % 2 == 0


class Models:
    """An endpoint that answers, judges by its criterion, and writes ``written``, one text a call."""

    def __init__(self) -> None:
        self.written = [BETTER]
        self.hangs: Callable[[str], bool] = lambda _text: False
        self.stub = Answering(self._reply)

    def _reply(self, number: int, text: str, _headers: dict[str, str]) -> tuple[int, Any, float]:
        if self.hangs(text):
            return 200, None, 0.0
        if text.startswith(WRITER):
            said = self.written[min(len(self.of_writer), len(self.written)) - 1]
            return 200, answer(json.dumps({"criterion": said})), 0.0
        found = re.search(r"Question (\d+)", text)
        assert found is not None, text
        at = int(found[1])
        if "<answer>" not in text:
            return 200, answer(f"{at + (at % 4 == 0)}{' m' if at % 2 == 0 else ''}"), 0.0
        criterion = self.stub.bodies[number]["messages"][0]["content"]
        if "Refuse" in criterion and at % 3 == 0:
            return 200, answer("I will not judge this."), 0.0
        has_unit = " m\n" in text.split("<answer>")[1]
        passes = at % 4 != 0 and (has_unit or "unit" not in criterion)
        return 200, answer(json.dumps({"reason": "seen", "mark": 2 if passes else 1})), 0.0

    @property
    def of_writer(self) -> list[str]:
        return [each for each in self.stub.said if each.startswith(WRITER)]

    @property
    def of_judge(self) -> list[str]:
        return [each for each in self.stub.said if "<answer>" in each and not each.startswith(WRITER)]

    def forget(self, *written: str) -> None:
        """Begin again, with other texts of the writer."""
        self.stub.said.clear()
        self.stub.bodies.clear()
        self.written, self.hangs = list(written) or [BETTER], lambda _text: False


def evaluation_file(url: str, folder: Path, rows: int) -> dict[str, Any]:
    """Write the rows into a folder, and return the evaluation of one model by the judge ``measure``."""
    data = [{"q": f"Question {at}", "n": str(at)} for at in range(rows)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in data))
    judge = {"scorer": "rubric", "name": "measure", "model": "j", "criterion": OLD, "expected": "n"}
    return {
        "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "units"}, "data": "rows.jsonl",
        "prompt": "{{q}}", "settings": {"max_tokens": 5}, "models": {"a": {"url": url, "model": "stub"}},
        "judges": {"j": {"url": url, "model": "judge", "settings": {"max_tokens": 40},
                         "price": msgspec.to_builtins(PRICE)}},
        "scorers": [{**judge, "scale": [WRONG, RIGHT]}, {"scorer": "contains", "expected": "n"}],
    }  # fmt: skip
