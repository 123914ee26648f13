"""Say what a person must know before a model of unknown origin is loaded, in the same words everywhere."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from msgspec.structs import replace

from genops_lab.registry.files import gguf, safetensors
from genops_lab.registry.files.messages import UNREAD, described, named

from .models import DeployCheck

if TYPE_CHECKING:
    from genops_lab.registry.files.models import FileFacts, ModelFacts
    from genops_lab.registry.models import ModelVersion
    from genops_lab.registry.signing import Signature

    from .models import ModelFile
    from .targets.base import Capabilities
    from .weights import LanguageModel

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


def origin(recorded: str | None, run_id: str, *, external: bool = False) -> str:
    """Say who made the files: the run of this user that recorded them, or the one that the registry claims.

    ``external``: the files are none of the registry.
    """
    if recorded is not None:
        return f"Your run {recorded} recorded exactly these files."
    if external:
        return "The files do not come from your registry, and no run of yours recorded them."
    claim = f" The registry says that the run {run_id} made them." if run_id else ""
    return f"Your runs did not record these files: another process logged them, or they changed since.{claim}"


def of_language_model(
    version: ModelVersion,
    model: LanguageModel | None,
    facts: ModelFacts,
    files: list[ModelFile],
    digest: str,
    life: Capabilities,
) -> DeployCheck:
    """Return the check of a language model's files. ``model`` is None if they hold no known one: that is refused."""
    said, verdict, advice = title(facts), facts.verdict, facts.advice
    weights = [each for each in facts.files if each.path.lower().endswith((".gguf", ".safetensors"))]
    wrong = [each for each in weights if each.format not in (gguf.FORMAT, safetensors.FORMAT)]
    if verdict != "refused" and (model is None or wrong):
        name = wrong[0].path if wrong else version.name
        said = f"It cannot be deployed: {name} is no GGUF or safetensors file."
        verdict, advice = "refused", "Other formats may run code when they are loaded. Fetch the file again."
    return DeployCheck(
        model=version.name,
        version=version.version,
        trusted=False,
        reason="",
        verdict=verdict,
        title=said,
        findings=findings(facts),
        advice=advice or "Load it only if you trust who made it.",
        flavors=[],
        loader=model.format if model else "",
        holds_pickle=False,
        files=files,
        digest=digest,
        environment="present",
        missing_requirements=[],
        outlives_server=life.outlives_server,
        warning=life.warning,
    )


def of_command(
    version: ModelVersion, command: dict[str, object], files: list[ModelFile], digest: str, life: Capabilities
) -> DeployCheck:
    """Return the check of a command. The person who asks has written it."""
    return DeployCheck(
        model=version.name,
        version=version.version,
        trusted=True,
        reason=f"You gave the command: {command['command']}",
        verdict="code",
        title="This runs a command with a filtered environment.",
        advice="Run it only if you trust who wrote it.",
        flavors=[],
        loader="command",
        holds_pickle=False,
        files=files,
        digest=digest,
        environment="present",
        missing_requirements=[],
        outlives_server=life.outlives_server,
        warning=life.warning,
    )


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
