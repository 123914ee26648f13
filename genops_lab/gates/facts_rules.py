"""Rules about a version's files and its run: size, signature, formats, licence, a key, a command, approval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from genops_lab.core.errors import GenOpsError, InvalidRequest
from genops_lab.registry import signing
from genops_lab.registry.files.models import ModelFacts, ModelField, ModelSignature

from .evidence import verdict_of
from .judging import name_of
from .metrics import CannotBeChecked
from .models import Approver, CommandResult, RuleVerdict
from .plan import Approval, Command, Formats, Licence, Rule, Signature, Signed, Size

_SHOWN = 3
_MB = 1_000_000
_OPTIONAL = ", optional"


@dataclass(kw_only=True)
class FileEvidence:
    """The files of both versions, and the people who made and approve the candidate.

    - facts: those of the candidate's files. against_facts: those of the other version. None: ``problem`` says why.
    - keys: the folder of the gate file; None if it is unknown.
    - verify: verifies the signature of the candidate's files with a public key.
    - author: the user of the version's run.
    - commands: the results of the file's commands, in their order.
    """

    facts: ModelFacts | None = None
    against_facts: ModelFacts | None = None
    problem: str = "the files are unknown"
    problem_against: str = "there is no version to compare with"
    keys: Path | None = None
    verify: Callable[[Path], signing.Signature] | None = None
    author: str = ""
    approvers: list[Approver] = field(default_factory=list)
    commands: list[CommandResult] = field(default_factory=list)

    def one(self) -> ModelFacts:
        """Return the facts of the candidate's files. Raises CannotBeChecked."""
        if self.facts is None:
            raise CannotBeChecked(self.problem)
        return self.facts

    def other(self) -> ModelFacts:
        """Return the facts of the other version's files. Raises CannotBeChecked."""
        if self.against_facts is None:
            raise CannotBeChecked(self.problem_against)
        return self.against_facts


def judge_files(rule: Rule, evidence: FileEvidence) -> RuleVerdict:
    """Return the verdict on a rule that needs no predictions. Commands are taken in the order of the file."""
    try:
        found = _JUDGES[type(rule)](rule, evidence)
    except CannotBeChecked as error:
        found = verdict_of("cannot_be_checked", error.clause, error.detail)
    return replace(found, name=rule.name or name_of(rule), rule=str(rule.__struct_config__.tag))


def _size(rule: Size, evidence: FileEvidence) -> RuleVerdict:
    found = evidence.one().size_bytes
    if rule.at_most_mb is not None:
        holds, size = found <= rule.at_most_mb * _MB, f"the files have {_mb(found)}"
        clause = (
            size if holds else f"{size}, {_mb(found - rule.at_most_mb * _MB)} over {rule.at_most_mb:g} MB"
        )
        return verdict_of(
            "pass" if holds else "fail", clause, f"The rule allows {rule.at_most_mb:g} MB.",
            estimate=found / _MB, bound=rule.at_most_mb,
        )  # fmt: skip
    assert rule.at_most_ratio is not None
    other = evidence.other().size_bytes
    if not other:
        raise CannotBeChecked("the size of the other version is unknown")
    ratio = found / other
    clause = f"the files have {ratio:.3g} times the size of the other version's"
    if ratio > rule.at_most_ratio:
        clause += f", over {rule.at_most_ratio:g} times"
    return verdict_of(
        "pass" if ratio <= rule.at_most_ratio else "fail", clause,
        f"They have {_mb(found)}, the others {_mb(other)}.", estimate=ratio, bound=rule.at_most_ratio,
    )  # fmt: skip


def _mb(size: float) -> str:
    return f"{size / _MB:.3g} MB"


def _signature(_rule: Signature, evidence: FileEvidence) -> RuleVerdict:
    one, other = evidence.one().signature, evidence.other().signature
    if one is None or other is None:
        which = "the candidate" if one is None else "the version to compare with"
        raise CannotBeChecked(
            f"{which} has no signature", "Log the model with an input example: MLflow infers its signature."
        )
    breaks = broken(one, other)
    if breaks:
        more = f"; {len(breaks) - _SHOWN} more" if len(breaks) > _SHOWN else ""
        return verdict_of(
            "fail", f"callers break: {'; '.join(breaks[:_SHOWN])}{more}",
            "Programs that call the other version cannot call the candidate.",
        )  # fmt: skip
    return verdict_of("pass", "callers of the other version can call the candidate")


def broken(one: ModelSignature, other: ModelSignature) -> list[str]:
    """Return what breaks for the callers of ``other`` if ``one`` answers them.

    >>> broken(ModelSignature(inputs=[ModelField(name="x", type="long")]), ModelSignature())
    ["input 'x' (long) is new and required"]
    """
    breaks = []
    for kind, new, old in (("input", one.inputs, other.inputs), ("output", one.outputs, other.outputs)):
        known, there = _by_name(old), _by_name(new)
        for name, field_type in there.items():
            before = known.get(name)
            if before is None:
                if kind == "input" and not field_type.endswith(_OPTIONAL):
                    breaks.append(f"{kind} {name} ({field_type}) is new and required")
            elif before != field_type and not (
                kind == "input" and before == field_type.removesuffix(_OPTIONAL)
            ):
                breaks.append(f"{kind} {name} is {field_type}, was {before}")
        if kind == "output":
            breaks += [f"{kind} {name} is gone" for name in known if name not in there]
    known = _by_name(other.params)
    params = _by_name(one.params)
    breaks += [f"parameter {name} is gone" for name in known if name not in params]
    breaks += [
        f"parameter {name} is {params[name]}, was {known[name]}"
        for name in known
        if name in params and params[name] != known[name]
    ]
    return breaks


def _by_name(fields: list[ModelField]) -> dict[str, str]:
    return {repr(each.name) if each.name else f"{at + 1}": each.type for at, each in enumerate(fields)}


def _formats(rule: Formats, evidence: FileEvidence) -> RuleVerdict:
    facts = evidence.one()
    bad = [each for each in facts.files if each.verdict != "data"]
    if not facts.complete:
        raise CannotBeChecked("not all files were read", "They are on another machine, or over the bounds.")
    if bad:
        named = ", ".join(each.path for each in bad[:_SHOWN])
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        return verdict_of("fail", f"{facts.headline.rstrip('.')[:80]}: {named}{more}", bad[0].reason)
    allowed = {each.casefold() for each in rule.allowed}
    others = [each for each in facts.formats if each.casefold() not in allowed]
    if allowed and others:
        return verdict_of(
            "fail", f"the format {', '.join(others)} is not allowed", f"Allowed: {', '.join(rule.allowed)}."
        )
    return verdict_of("pass", "loading the files runs no code that came with the model")


def _licence(rule: Licence, evidence: FileEvidence) -> RuleVerdict:
    found = evidence.one().licence
    if not found:
        raise CannotBeChecked(
            "the files name no licence", "Add it to the model card (README.md) of the files."
        )
    if found.casefold() in {each.casefold() for each in rule.allowed}:
        return verdict_of("pass", f"the licence is {found}")
    return verdict_of("fail", f"the licence {found} is not allowed", f"Allowed: {', '.join(rule.allowed)}.")


def public_key(folder: Path, name: str) -> Path:
    """Return the file of a public key in the folder of the gate file. Raises InvalidRequest if it is none."""
    key = (folder / name).resolve()
    if not key.is_relative_to(folder.resolve()) or not key.is_file():
        raise InvalidRequest(
            f"The public key {name!r} does not exist beside the gate file.",
            hint="Commit the key's file in the folder of the gate file.",
        )
    signing.fingerprint(key)
    return key


def _signed(rule: Signed, evidence: FileEvidence) -> RuleVerdict:
    if evidence.keys is None or evidence.verify is None:
        raise CannotBeChecked("the key is not on this machine", "Check the gates with: genops gates check")
    try:
        found = evidence.verify(public_key(evidence.keys, rule.key))
    except GenOpsError as error:
        raise CannotBeChecked("the signature cannot be checked", error.message) from error
    if found.state == "valid":
        return verdict_of("pass", f"the files are signed by {found.who}")
    if found.state == "cannot be checked":
        raise CannotBeChecked("the signature of the files cannot be checked", found.reason)
    state = "are not signed" if found.state == "unsigned" else "have no valid signature"
    return verdict_of("fail", f"the files {state}", found.reason)


def _command(rule: Command, evidence: FileEvidence) -> RuleVerdict:
    if not evidence.commands:
        raise CannotBeChecked(
            f"the command {rule.run[0]} was not run", "Commands run on the command line: genops gates check"
        )
    found = evidence.commands.pop(0)
    said = f"It says: {found.said}" if found.said else ""
    if found.problem:
        return verdict_of("cannot_be_checked", f"the command {rule.run[0]} {found.problem}", said)
    if found.exit_code == 0:
        return verdict_of("pass", f"the command {rule.run[0]} ends with exit code 0", said)
    return verdict_of("fail", f"the command {rule.run[0]} ends with exit code {found.exit_code}", said)


def _approval(rule: Approval, evidence: FileEvidence) -> RuleVerdict:
    if not evidence.author:
        raise CannotBeChecked("the run does not say who trained the model")
    if not evidence.approvers:
        raise CannotBeChecked(
            "nobody who approves is known",
            "An approval needs a login of JupyterHub or MLflow, a signed commit of the gate file, or a CI job.",
        )
    listed = {each.casefold() for each in rule.by}
    others = [each for each in evidence.approvers if not _same_person(each.name, evidence.author)]
    for each in others:
        if not listed or each.name.casefold() in listed:
            return verdict_of("pass", f"{each.name} approves ({each.how})")
    if others:
        names = ", ".join(each.name for each in others)
        return verdict_of("fail", f"{names} may not approve", f"The rule allows {', '.join(rule.by)}.")
    return verdict_of(
        "fail", f"{evidence.author} trained the model, and nobody else approves",
        "Somebody else must promote the version.",
    )  # fmt: skip


def _same_person(one: str, other: str) -> bool:
    """A signer is a name with an address; the user of a run is a login."""
    names = [
        {part.split("@")[0].strip("<> ").casefold() for part in (each, *each.split())}
        for each in (one, other)
    ]
    return bool(names[0] & names[1])


_JUDGES: dict[type[Rule], Callable[[Any, FileEvidence], RuleVerdict]] = {
    Approval: _approval,
    Command: _command,
    Formats: _formats,
    Licence: _licence,
    Signature: _signature,
    Signed: _signed,
    Size: _size,
}
