"""Say what a person must know before a model of unknown origin is loaded, in the same words everywhere."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from msgspec.structs import replace

from genops_lab.registry.files.words import UNREAD, described, named

if TYPE_CHECKING:
    from genops_lab.registry.files.models import FileFacts, ModelFacts
    from genops_lab.registry.signing import Signature

    from .models import DeployCheck

_SHOWN = 5
_DATA = "The files hold data only: loading them runs no code that came with the model."


def title(facts: ModelFacts) -> str:
    """Return what loading the model means, in one sentence."""
    worst = [each.path for each in facts.files if each.verdict == facts.verdict]
    if facts.verdict == "refused":
        return f"This model cannot be deployed: {named(worst)} is damaged or misleading."
    if facts.verdict == "code":
        return f"Loading this model runs code that came with it: {named(worst)}."
    if facts.verdict == "unknown":
        return f"Loading this model may run code: {named(worst) or UNREAD}."
    return "This model comes from an unknown origin."


def findings(facts: ModelFacts) -> list[str]:
    """Return what each file does that can run code, one sentence a file, the worst first."""
    telling: list[FileFacts] = [each for each in facts.files if each.verdict != "data"]
    if not telling:
        return [
            _DATA
            if facts.verdict == "data"
            else f"{UNREAD.capitalize()}: the model has too many, or too deep folders."
        ]
    said = [described(each) for each in telling[:_SHOWN]]
    others = len(telling) - _SHOWN
    return [*said, f"{others} more files like these."] if others > 0 else said


def origin(recorded: str | None, run_id: str) -> str:
    """Say who made the files: the run of this user that recorded them, or the one that the registry claims."""
    if recorded is not None:
        return f"Your run {recorded} recorded exactly these files."
    claim = f" The registry says that the run {run_id} made them." if run_id else ""
    return f"Your runs did not record these files: another process logged them, or they changed since.{claim}"


_REQUIRED = "This model cannot be deployed: this Lab serves only models that a trusted key signed."
_DEMANDED = "This version cannot be deployed: its gate file demands a signature with the key that it names."


def with_signature(check: DeployCheck, signature: Signature, *, required: bool) -> DeployCheck:
    """Return the check with what the signature says. ``required``: without a valid one, the version is refused.

    Files that changed after somebody signed them are asked about, also where a run of this user recorded them.
    """
    if signature.state == "valid":
        signed = f"The files are those that {signature.who} signed."
        return replace(check, signature=signature, reason=f"{check.reason} {signed}")
    if required:
        return replace(
            check,
            signature=signature,
            trusted=False,
            verdict="refused",
            title=_DEMANDED if signature.demanded else _REQUIRED,
            findings=[signature.reason, *([] if check.findings == [_DATA] else check.findings)],
            advice=_advice(check, signature),
        )
    if signature.state == "unsigned":
        return replace(check, signature=signature, reason=f"{check.reason} {signature.reason}")
    return replace(
        check,
        signature=signature,
        trusted=False if signature.state == "invalid" else check.trusted,
        title="The signature of this model is not valid." if check.trusted else check.title,
        findings=[signature.reason, *check.findings],
    )


def _advice(check: DeployCheck, signature: Signature) -> str:
    command = f"genops models sign {shlex.quote(check.model)} --version {check.version} --key FILE"
    if signature.state == "unsigned":
        return f"Ask somebody with a trusted key to review and sign the version: {command}"
    if signature.state == "invalid":
        return f"Find out who changed the files. Somebody with a trusted key can sign them again: {command}"
    return "Ask the administrator of this server."
