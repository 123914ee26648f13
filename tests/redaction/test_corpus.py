"""Recall and precision on the half of the corpus that the rules were not written with."""

from __future__ import annotations

import pytest

from genops_lab.redaction.documents import DocumentRedactor

from .corpus import Line, people, secrets, technical

REDACTOR = DocumentRedactor(people=True)


def left_in(lines: list[Line]) -> list[str]:
    return [line.form for line in lines if line.value in REDACTOR.redact(line.text).document]


def touched(lines: list[Line]) -> list[str]:
    return [line.form for line in lines if REDACTOR.redact(line.text).document != line.text]


@pytest.mark.parametrize("held_out", [False, True])
def test_recall_and_precision_of_secrets(held_out: bool) -> None:
    lines = [line for line in secrets() if line.is_held_out is held_out]
    harmless = [line for line in technical() if line.is_held_out is held_out]
    assert len(lines) > 100 and len(harmless) > 100
    found = len(lines) - len(left_in(lines))
    wrong = touched(harmless)
    assert found / len(lines) >= (0.95 if held_out else 1), left_in(lines)
    assert found / (found + len(wrong)) >= 0.97, wrong
    assert len(wrong) / len(harmless) <= 0.05, wrong


@pytest.mark.parametrize("held_out", [False, True])
def test_recall_of_personal_data(held_out: bool) -> None:
    lines = [line for line in people() if line.is_held_out is held_out]
    assert len(lines) > 20
    assert left_in(lines) == []


def test_the_corpus_is_another_with_another_seed() -> None:
    others = [line for line in secrets(11) if line.is_held_out]
    assert not {line.value for line in others} & {line.value for line in secrets() if line.value}
    assert len(left_in(others)) / len(others) <= 0.05
    assert len(touched(technical(12))) / len(technical(12)) <= 0.05
