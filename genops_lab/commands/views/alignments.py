"""Alignments of judges as documents."""

from __future__ import annotations

import shlex
from typing import Any

from genops_lab.genai.labels.alignment_models import AlignmentCost, JudgeAlignment
from genops_lab.runtime.money import money_text

from ..document import Block, Column, Document, Lines, Note, Row, Table
from .labels import judge_row
from .prompts import all_calls, planned_calls


def alignment_cost(found: AlignmentCost) -> str:
    """Say what an alignment may cost at most, and how many labels each side has."""
    return "\n".join(
        [
            *(f"{each.model}: {planned_calls(each)}" for each in found.parts),
            all_calls(found.calls, found.tokens, found.money, found.currency, found.without_price),
            f"The writer sees {found.training:,} answers with labels of {found.question}; {found.held_out:,} answers "
            "are held out.",
        ]
    )


def alignment(found: JudgeAlignment, file: str) -> Document:
    """``labels align``. ``file``: the file that has the new judge; empty: none."""
    tones: dict[str, Any] = {"better": "good", "worse": "bad"}
    first, *others = found.sentences or ["The alignment is not done."]
    blocks: list[Block] = [Note(first, tones.get(found.verdict, "")), *map(Note, others)]
    if found.before is not None and found.after is not None:
        rows: list[Row] = [["before", *judge_row(found.before)[1:]], ["after", *judge_row(found.after)[1:]]]
        columns = [
            Column("criterion"), Column("kappa", right=True), Column("95 % interval", right=True),
            Column("equal", right=True), Column("most common label", right=True), Column("labels", right=True),
            Column("not marked", right=True),
        ]  # fmt: skip
        blocks.append(Table(columns, rows, title=f"{found.judge} beside held-out labels"))
    if found.new_criterion:
        blocks.append(Lines(["", "New criterion:", *found.new_criterion.splitlines(), ""]))
    if found.kept_as:
        blocks.append(
            Note(f"The new judge is registered in MLflow as {found.kept_as}. Labels must confirm it.")
        )
        if file:
            score = f"genops evaluate score {found.evaluation} --scorer {shlex.quote(file)}"
            blocks.append(Note(f"Score the answers with it: {score}"))
        else:
            blocks.append(Note(f"Write it into a file: genops labels keep {found.id} --file judge.yaml"))
    elif found.new_criterion and found.stage == "done":
        blocks.append(Note(f"Keep it all the same: genops labels keep {found.id}"))
    money = "" if found.money is None else f", {money_text(found.money, found.currency)}"
    tried = "1 criterion was tried" if found.tried == 1 else f"{found.tried:,} criteria were tried"
    blocks.append(Note(f"{tried}, with {found.tokens:,} tokens{money}.", "dim"))
    return Document([*blocks, *(Note(each, "dim") for each in found.notes)])
