"""Prompts as documents."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from genops_lab.genai.evaluations.models import PlannedCalls
from genops_lab.genai.prompts.models import Prompt, PromptDifference, PromptVersion, SavedPrompt
from genops_lab.genai.prompts.optimization_models import Optimization, OptimizationCost
from genops_lab.genai.prompts.trial_models import TrialAnswer, TrialCost, TrialTable
from genops_lab.runtime.money import money_text

from ..document import Block, Cell, Column, Document, Facts, Lines, Note, Row, Table, moment


def prompts(found: list[Prompt]) -> Document:
    """``prompts list``."""
    rows: list[Row] = [
        [
            each.name,
            each.newest,
            ", ".join(f"{alias} → {version}" for alias, version in each.aliases.items()),
            each.description,
            moment(each.updated_at),
        ]
        for each in found
    ]
    columns = [
        Column("name", shrinks=True),
        Column("newest", right=True),
        Column("aliases", shrinks=True),
        Column("description", shrinks=True, leaves=1),
        Column("updated"),
    ]
    empty = "There are no prompts. Save one: genops prompts add NAME --file FILE"
    return Document([Table(columns, rows, empty=empty)])


def versions(name: str, found: list[PromptVersion]) -> Document:
    """``prompts show --versions``."""
    rows: list[Row] = [
        [
            each.version,
            ", ".join(each.aliases),
            each.message or each.problem,
            ", ".join(each.variables),
            moment(each.created_at),
        ]
        for each in found
    ]
    columns = [
        Column("version", right=True),
        Column("aliases", shrinks=True),
        Column("message", shrinks=True),
        Column("variables", shrinks=True, leaves=1),
        Column("saved"),
    ]
    empty = f"All versions of the prompt {name} were deleted."
    return Document([Table(columns, rows, empty=empty)])


def version(shown: PromptVersion) -> Document:
    """``prompts show``."""
    facts = Facts(
        [
            ("prompt", shown.name),
            ("version", shown.version),
            ("aliases", ", ".join(shown.aliases)),
            ("message", shown.message),
            ("variables", ", ".join(shown.variables)),
            ("settings", _line(shown.settings)),
            ("tools", ", ".join(_tool(each) for each in shown.tools)),
            ("schema", _line(shown.response_format)),
            ("tags", ", ".join(f"{key}={text}" for key, text in shown.tags.items())),
            ("saved", moment(shown.created_at)),
        ]
    )
    blocks: list[Block] = [facts]
    for turn in shown.turns:
        text = turn.content + (json.dumps(turn.parts, indent=2) if turn.parts else "")
        heading = [] if shown.kind == "text" else [f"{turn.role}:"]
        blocks.append(Lines([*heading, *text.splitlines()]))
    if shown.problem:
        blocks.append(Note(shown.problem, "bad"))
    return Document(blocks)


def saved(found: SavedPrompt) -> Document:
    """``prompts add``."""
    now = found.version
    if not found.made:
        return Document([Note(f"Version {now.version} of {now.name} has this content already.")])
    notes: list[Block] = [Note(f"Saved as version {now.version} of {now.name}.")]
    if found.between:
        others = ", ".join(found.between)
        notes.append(Note(f"Others saved at the same moment: version {others}.", "busy"))
    return Document(notes)


def deleted(sentence: str) -> Document:
    """``prompts delete``."""
    return Document([Note(sentence)])


def difference(found: PromptDifference) -> Document:
    """``prompts diff``: [-removed-]{+added+}, as git's word diff."""
    before, after = found.before.version, found.after.version
    if found.same:
        return Document([Note(f"Versions {before} and {after} have the same content.")])
    return Document([Note(f"{found.before.name}: version {before} → {after}"), *_changes(found)])


def _changes(found: PromptDifference) -> list[Block]:
    blocks: list[Block] = []
    for part in found.parts:
        text = "".join(
            piece.text
            if piece.change == "same"
            else f"[-{piece.text}-]"
            if piece.change == "removed"
            else f"{{+{piece.text}+}}"
            for piece in part.pieces
        )
        blocks.append(Lines([f"{part.part}:", *text.splitlines()]))
    return blocks


def cost(found: TrialCost) -> str:
    """Say what a trial asks about, and what it may cost at most."""
    calls = f"{_rows(found.rows, found.digest)}: {found.calls:,} calls with at most {found.tokens:,} tokens"
    if found.money is not None:
        return f"{calls}, at most {money_text(found.money, found.currency, 'most')}."
    if not found.without_price:
        return f"{calls}. The prices have several currencies, so there is no sum."
    return f"{calls}. The price is unknown: {', '.join(found.without_price)} has none."


def _rows(count: int, digest: str) -> str:
    return f"{count:,} row{'' if count == 1 else 's'} of data with the digest {digest[:12]}"


def optimization_cost(found: OptimizationCost) -> str:
    """Say what an optimization may cost at most, and what it can show."""
    lines = [f"{each.model}: {planned_calls(each)}" for each in found.parts]
    lines.append(all_calls(found.calls, found.tokens, found.money, found.currency, found.without_price))
    split = f"{_rows(found.training + found.held_out, found.digest)}: "
    split += f"{found.training:,} training rows, {found.held_out:,} held-out rows"
    if found.together:
        split += f"; each group of the {found.together:,} near-duplicates is on one side"
    lines.append(f"{split}.")
    shown = next((each for each in reversed(found.shows) if each.difference is not None), None)
    if shown is not None and shown.difference is not None:
        lines.append(
            f"If the answers differ on {100 * shown.differing:.0f} % of the held-out rows, they show a difference of "
            f"{100 * shown.difference:.0f} points or more."
        )
    else:
        lines.append(f"{found.held_out:,} held-out rows are too few to show a difference: give more rows.")
    return "\n".join(lines)


def all_calls(
    calls: int, tokens: int, money: float | None, currency: str, without_price: Sequence[str]
) -> str:
    """Say what all calls use at most."""
    said = f"at most {money_text(money, currency, 'most')}" if money is not None else "the price is unknown"
    if without_price:
        said += f": {', '.join(without_price)} has none"
    return f"All: {calls:,} calls with at most {tokens:,} tokens, {said}."


def planned_calls(each: PlannedCalls) -> str:
    """Say what the calls of one purpose use at most."""
    calls = f"{each.calls:,} call{'' if each.calls == 1 else 's'}"
    return (
        calls if each.money is None else f"{calls}, at most {money_text(each.money, each.currency, 'most')}"
    )


def optimizations(found: list[Optimization]) -> Document:
    """``prompts optimizations``."""
    rows: list[Row] = [
        [
            each.id,
            each.name,
            each.version,
            each.new_version or ("not saved" if each.has_text else ""),
            each.data,
            each.sentences[0] if each.sentences else f"The stage is {each.stage}.",
            moment(each.created_at),
        ]
        for each in found
    ]
    columns = [
        Column("id"),
        Column("prompt", shrinks=True),
        Column("version", right=True),
        Column("new", right=True),
        Column("data", shrinks=True, leaves=2),
        Column("result", folds=True, shrinks=True, narrowest=20),
        Column("begun", leaves=1),
    ]
    empty = "No prompt was optimized yet. Begin: genops prompts optimize NAME"
    return Document([Table(columns, rows, empty=empty)])


def optimization(found: Optimization, compared: PromptDifference | None) -> Document:
    """``prompts optimize`` and ``prompts optimizations --id``: the result, then what changed."""
    better = any(each.verdict == "better" for each in found.compared)
    worse = any(each.verdict == "worse" for each in found.compared)
    tone: Any = "bad" if worse else "good" if better else ""
    blocks: list[Block] = [Note(each, tone if at == 0 else "") for at, each in enumerate(found.sentences)]
    if found.new_version:
        name = shlex.quote(found.name)
        blocks += [
            Note(f"Version {found.new_version} of {found.name} has the new text. No alias was moved."),
            Note(f"See what changed: genops prompts diff {name} {found.version} {found.new_version}"),
        ]
    elif compared is not None:
        blocks += _changes(compared)
        blocks.append(Note(f"Save it as a version: genops prompts optimizations --id {found.id} --save"))
    if found.evaluation:
        blocks.append(Note(f"See the answers: genops evaluate show {found.evaluation}"))
    money = "" if found.money is None else f", {money_text(found.money, found.currency)}"
    blocks.append(
        Note(f"The optimizer tried {found.tried:,} texts with {found.tokens:,} tokens{money}.", "dim")
    )
    return Document([*blocks, *(Note(each, "dim") for each in found.notes)])


def trial(found: TrialTable) -> Document:
    """``prompts run``: a row for each row, a column for each version and model."""
    columns = [
        Column("row"),
        *(Column(each, folds=True, shrinks=True, narrowest=20) for each in found.columns),
    ]
    rows: list[Row] = [[each.id, *map(_answer, each.answers)] for each in found.rows]
    return Document(
        [Table(columns, rows, title=f"{found.name} on {_rows(found.row_count, found.digest)}, {found.data}")]
    )


def _answer(answer: TrialAnswer) -> Cell:
    if answer.state == "failed":
        return Cell(answer.text, "bad")
    if answer.state == "missing":
        return Cell("not asked", "dim")
    calls = " ".join(json.dumps(each.get("function") or each) for each in answer.tool_calls)
    return Cell(" ".join(filter(None, [answer.text, calls, "(cut)" if answer.cut else ""])))


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""


def _tool(tool: dict[str, Any]) -> str:
    return str((tool.get("function") or {}).get("name") or tool.get("type") or "?")
