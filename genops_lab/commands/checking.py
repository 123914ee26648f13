"""``genops check``, which is ``genops deployments check``: read files without a Lab."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from genops_lab.core.yaml_files import kind_in
from genops_lab.deployments.description.reading import read_description
from genops_lab.deployments.live_scorers import scorers_in
from genops_lab.gates.plan_file import read_gates
from genops_lab.genai.evaluations.evaluation_file import read_evaluation
from genops_lab.genai.online.live_scorers import read_live_scorers

from .deployment_files import text_of
from .document import Document, Lines
from .grammar import noun
from .session import Json, command

checking = noun()


@checking.command("check")
def check(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Deployment, gate or evaluation files; - is standard input."),
    ],
    json: Json = False,
) -> None:
    """Check deployment, gate and evaluation files, offline.

    An error names the line, the column and what was probably meant. Neither MLflow nor a Lab is asked.
    """
    with command(json) as session:
        found: list[dict[str, Any]] = []
        lines = []
        for file in files:
            text = text_of(file)
            kind = kind_in(text)
            if kind == "Evaluation":
                evaluation = read_evaluation(text, file)
                counts = {"models": len(evaluation.models), "scorers": len(evaluation.scorers)}
                found.append({"file": file, "kind": kind, "name": evaluation.metadata.name, **counts})
                lines.append(
                    f"{file}: the evaluation {evaluation.metadata.name} of {counts['models']} models with "
                    f"{counts['scorers']} scorers."
                )
            elif kind == "Gates":
                gates = read_gates(text, file)
                found.append({"file": file, "kind": "Gates", "rules": len(gates.rules)})
                lines.append(f"{file}: a gate file with {len(gates.rules)} rules.")
            else:
                described = read_description(text, file)
                folder = str(Path.cwd() if file == "-" else Path(file).parent)
                if asked := scorers_in(described, folder):
                    read_live_scorers(asked.text, asked.file)
                revision = described.revision
                what = {"name": described.name, "model": revision.model, "version": str(revision.version)}
                found.append({"file": file, "kind": "Deployment", **what})
                version = f"{revision.model} version {revision.version}"
                lines.append(f"{file}: the deployment {described.name} of {version}.")
        session.show(found, Document([Lines(lines)]))
