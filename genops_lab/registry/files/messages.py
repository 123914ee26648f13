"""Say the verdict on a model's files once, in words that a person can act on."""

from __future__ import annotations

from collections.abc import Sequence

from .models import FileFacts, Verdict

_SHOWN = 3

#: How to log the same model as data, by flavor.
_SAFER = {
    "sklearn": "mlflow.sklearn.log_model(model, serialization_format='skops')",
    "transformers": "mlflow.transformers.log_model(...), which writes safetensors",
    "sentence_transformers": "mlflow.sentence_transformers.log_model(...), which writes safetensors",
    "xgboost": "mlflow.xgboost.log_model(model, model_format='json')",
    "pytorch": "safetensors.torch.save_file(model.state_dict(), 'model.safetensors') and mlflow.log_artifact",
    "onnx": "mlflow.onnx.log_model without operators of other libraries",
}


def named(paths: Sequence[str]) -> str:
    """Return up to three names in a row, and the number of the others."""
    shown = ", ".join(paths[:_SHOWN])
    return shown if len(paths) <= _SHOWN else f"{shown} and {len(paths) - _SHOWN} more"


UNREAD = "some files were not read"


def headline(files: Sequence[FileFacts], *, complete: bool) -> str:
    """Return the verdict on all files in one line. ``complete``: all files were read."""
    if not files and complete:
        return "The version has no files"
    by_verdict = {
        verdict: [each.path for each in files if each.verdict == verdict]
        for verdict in ("refused", "code", "unknown")
    }
    if by_verdict["refused"]:
        return f"Damaged or misleading files: {named(by_verdict['refused'])}"
    if by_verdict["code"]:
        return f"Runs code when loaded: {named(by_verdict['code'])}"
    if by_verdict["unknown"]:
        return f"Not known to be data only: {named(by_verdict['unknown'])}"
    return "Files hold data only" if complete else f"Not known to be data only: {UNREAD}"


def advice(files: Sequence[FileFacts], worst: Verdict, flavors: Sequence[str]) -> str:
    """Return what a person can do about the verdict; empty where nothing is to be done."""
    if not files and worst == "unknown":
        return "Log and register the model again."
    if worst == "data":
        return ""
    if worst == "refused":
        return "Do not load this version. Log and register the model again from its source."
    safer = next((_SAFER[each] for each in flavors if each in _SAFER), "")
    trust = "Load it only if you trust who made it."
    return f"{trust} Safer: log the model with {safer}." if safer else trust


def described(file: FileFacts) -> str:
    """Return what one file does, as a sentence that begins with its name.

    >>> described(FileFacts(path="a.pkl", size_bytes=1, format="pickle", verdict="code", reason="It is a pickle."))
    'a.pkl: a pickle.'
    """
    reason = file.reason.removeprefix("It is ")
    return f"{file.path}: {reason[0].lower()}{reason[1:]}" if reason else file.path
