"""Write the sections and the metadata of a model card from what is known.

Headings follow the annotated template of Hugging Face (huggingface.co/docs/hub/model-card-annotated). A mark
names what nobody knows: ``> **Missing: intended use.** Write ...``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from genops_lab.registry.files.models import ModelField

from .models import CardGap, CardSection, DataSet, Known, Metric, Training

#: Fewer rows of a group say little: they are marked.
SMALL_GROUP = 30
_SHOWN_PARAMS = 50
_MISSING = re.compile(r"^> \*\*Missing: (?P<what>[^*]+?)\.\*\*", re.MULTILINE)
#: The library's name at Hugging Face, by MLflow's flavor; the first that fits counts.
_LIBRARIES = {
    "transformers": "transformers",
    "sentence_transformers": "sentence-transformers",
    "sklearn": "sklearn",
    "pytorch": "pytorch",
    "keras": "keras",
    "tensorflow": "keras",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "catboost": "catboost",
    "onnx": "onnx",
    "spacy": "spacy",
}
_LANGUAGE_MODELS = ("transformers", "sentence_transformers", "spacy")
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def generated(known: Known) -> list[CardSection]:
    """Return the sections of a card in their order, without what people wrote."""
    makers: dict[str, tuple[str, Callable[[Known], str]]] = {
        "details": ("Model details", _details),
        "uses": ("Uses", _uses),
        "limits": ("Bias, risks, and limitations", _limits),
        "start": ("How to get started with the model", _start),
        "data": ("Training data", _training_data),
        "training": ("Training procedure", _procedure),
        "evaluation": ("Evaluation", _evaluation),
        "groups": ("Results by group", _groups),
        "environment": ("Environmental impact", _environment),
        "contact": ("Model card contact", _contact),
    }
    title = f"{known.name} version {known.version}"
    first = CardSection(
        id="title", title=title, text=_paragraphs(f"# {_line(title)}", _prose(known.description))
    )
    rest = [
        CardSection(id=id, title=heading, text=_paragraphs(f"## {heading}", make(known)))
        for id, (heading, make) in makers.items()
    ]
    return [first, *rest]


def gaps(sections: Sequence[CardSection]) -> list[CardGap]:
    """Return what the sections mark as missing."""
    return [
        CardGap(section=each.id, what=found["what"])
        for each in sections
        for found in _MISSING.finditer(each.text)
    ]


def missing(what: str, advice: str) -> str:
    """Return the mark of something that nobody has written."""
    return f"> **Missing: {what}.** {advice}"


def metadata(known: Known) -> dict[str, Any]:
    """Return the YAML block of the card. A key that is not known is left out."""
    facts, training = known.facts, known.training
    library = next((_LIBRARIES[each] for each in _LIBRARIES if each in facts.flavors), "")
    measured = [each for each in _results(known) if not each.group]
    datasets = [
        _hub_name(each) for each in (training.data if training else []) if each.context != "evaluation"
    ]
    found: dict[str, Any] = {
        "license": facts.licence.lower() if _HUB_ID.fullmatch(facts.licence) else "",
        "library_name": library,
        "tags": [*(each for each in facts.flavors if each != "python_function"), "mlflow"],
        "datasets": list(dict.fromkeys(datasets)),
        "metrics": list(dict.fromkeys(each.name for each in measured)),
        "base_model": _base(known.base_model),
        "model-index": _index(known, measured),
    }
    return {key: value for key, value in found.items() if value}


def _index(known: Known, measured: list[Metric]) -> list[dict[str, Any]]:
    results = []
    for data, digest in dict.fromkeys((each.data, each.digest) for each in measured):
        dataset = {"type": data or "unknown", "name": data or "not recorded"}
        if digest:
            dataset["revision"] = digest
        metrics = []
        for each in measured:
            if (each.data, each.digest) == (data, digest):
                entry: dict[str, Any] = {"type": each.name, "value": each.value, "name": each.name}
                if each.low is not None and each.high is not None:
                    entry["args"] = {"interval": [each.low, each.high], "confidence": 0.95, "rows": each.rows}
                metrics.append(entry)
        results.append({"task": {"type": "other"}, "dataset": dataset, "metrics": metrics})
    return [{"name": known.name, "results": results}] if results else []


def _results(known: Known) -> list[Metric]:
    if known.evaluations:
        return known.evaluations
    return known.training.metrics if known.training else []


def _details(known: Known) -> str:
    facts = known.facts
    rows = [
        ("Version", known.version),
        ("Registered", _day(known.created_at)),
        ("Architecture", facts.architecture),
        ("Parameters", f"{facts.parameters:,} ({', '.join(facts.dtypes)})" if facts.parameters else ""),
        ("Quantization", facts.quantization),
        ("Format", ", ".join(facts.formats)),
        (
            "Size",
            f"{facts.size_bytes:,} bytes in {facts.file_count} file{'' if facts.file_count == 1 else 's'}",
        ),
        ("Loading", f"{facts.headline}."),
        ("Base model", known.base_model),
        ("License", facts.licence),
        ("Inputs", _fields(facts.signature.inputs) if facts.signature else ""),
        ("Outputs", _fields(facts.signature.outputs) if facts.signature else ""),
        ("Chosen by", _chosen(known.source)),
        ("Gates", str(known.gates.get("verdict", "")).replace("_", " ")),
    ]
    blocks = [_bullets(rows)]
    if not facts.licence:
        blocks.append(missing("license", "Write `license:` into the metadata, such as `apache-2.0`."))
    if any(each in facts.flavors for each in _LANGUAGE_MODELS):
        blocks.append(missing("language", "Write `language:` into the metadata, such as `en`."))
    blocks += [f"> {_line(each)}" for each in known.unread]
    return _paragraphs(*blocks)


def _uses(known: Known) -> str:
    return _paragraphs(
        missing("intended use", "Write who should use the model, and for what."),
        missing("out-of-scope use", "Write for what the model should not be used."),
    )


def _limits(known: Known) -> str:
    blocks = []
    if known.facts.verdict in ("code", "unknown", "refused"):
        blocks.append(f"- {_line(known.facts.headline)}. {_line(known.facts.advice)}".rstrip())
    worst = _worst(known.evaluations)
    if worst is not None:
        blocks.append(
            f"- Lowest result of a group: {worst.name} {_number(worst.value)} for {_code(worst.group)}."
        )
    return _paragraphs(
        "\n".join(blocks), missing("limits", "Write where the model fails, and what harm that can do.")
    )


def _start(known: Known) -> str:
    uri = f"models:/{known.name}/{known.version}".replace("\\", "\\\\").replace('"', '\\"')
    code = f'import mlflow\n\nmodel = mlflow.pyfunc.load_model("{uri}")\nmodel.predict(rows)'
    example = known.facts.input_example
    shown = _paragraphs("An input example:", _fenced(example, "json")) if example else ""
    return _paragraphs(_fenced(code, "python"), shown)


def _training_data(known: Known) -> str:
    data = [each for each in (known.training.data if known.training else []) if each.context != "evaluation"]
    if not data:
        return missing("training data", "Write which data the model was trained on, and where it came from.")
    rows = [[_cell(each.name), _cell(each.context), _cell(each.digest), _cell(each.source)] for each in data]
    return _table(["Data set", "Context", "Digest", "Source"], rows)


def _procedure(known: Known) -> str:
    run = known.training
    if run is None:
        return missing(
            "training procedure", "Write how the model was trained: code, commit, parameters, hardware."
        )
    bullets = _bullets(
        [
            ("Run", f"{run.run_id} {run.run_name}".strip()),
            ("Experiment", run.experiment),
            ("By", run.user),
            ("Source", run.source),
            ("Commit", f"{run.commit}{' with changes that were not committed' if run.dirty else ''}"),
            ("Started", _day(run.started_at)),
            ("Duration", _duration(run.duration_s)),
            ("Hardware", _hardware(run)),
        ]
    )
    blocks = [bullets]
    if not run.commit:
        blocks.append(missing("commit", "Write which code trained the model."))
    if run.params:
        shown = list(run.params.items())[:_SHOWN_PARAMS]
        blocks.append(_table(["Parameter", "Value"], [[_cell(name), _cell(value)] for name, value in shown]))
        if len(run.params) > _SHOWN_PARAMS:
            blocks.append(f"{len(run.params) - _SHOWN_PARAMS} more parameters are in the run.")
    return _paragraphs(*blocks)


def _evaluation(known: Known) -> str:
    found = [each for each in _results(known) if not each.group]
    if not found:
        return missing("evaluation", "Evaluate the version: genops models evaluate.")
    blocks = [_metrics(found, "Metric", lambda each: each.name)]
    if known.evaluations:
        blocks.append("Intervals are at 95 %, by Student's t; of a root mean square by bootstrap.")
    else:
        blocks.append(
            "These are the last values of the training run. Their data and their spread are not recorded."
        )
        blocks.append(missing("evaluation on a data set", "Evaluate the version: genops models evaluate."))
    return _paragraphs(*blocks)


def _groups(known: Known) -> str:
    found = [each for each in known.evaluations if each.group]
    if not found:
        return missing(
            "results by group", "Evaluate on data with columns named `group.<name>`, such as `group.age`."
        )
    blocks = [_metrics(found, "Group", lambda each: f"{each.group}, {each.name}")]
    small = [each.group for each in found if each.rows is not None and each.rows < SMALL_GROUP]
    if small:
        names = ", ".join(_code(each) for each in dict.fromkeys(small))
        blocks.append(
            f"Groups with fewer than {SMALL_GROUP} rows: {names}. Their intervals say more than their values."
        )
    return _paragraphs(*blocks)


def _environment(known: Known) -> str:
    energy = known.training.energy if known.training else None
    if energy is None or (energy.kwh is None and energy.co2_kg is None):
        return missing("energy", "Write how much energy the training took, if somebody measured it.")
    return _bullets(
        [
            ("Energy of the training", f"{energy.kwh:.3g} kWh" if energy.kwh is not None else ""),
            ("Emissions", f"{energy.co2_kg:.3g} kg CO2 equivalent" if energy.co2_kg is not None else ""),
            ("Measured by", energy.source),
        ]
    )


def _contact(known: Known) -> str:
    return missing("contact", "Write whom users of the model can ask.")


def _worst(found: list[Metric]) -> Metric | None:
    """Return the lowest accuracy of a group that is large enough to say something."""
    large = [
        each for each in found if each.group and each.name == "accuracy" and (each.rows or 0) >= SMALL_GROUP
    ]
    return min(large, key=lambda each: each.value, default=None)


def _metrics(found: list[Metric], heading: str, name: Callable[[Metric], str]) -> str:
    rows = [
        [
            _cell(name(each)),
            _number(each.value),
            f"{_number(each.low)} to {_number(each.high)}"
            if each.low is not None and each.high is not None
            else "",
            f"{each.rows:,}" if each.rows is not None else "",
            _cell(f"{each.data}@{each.digest}" if each.digest else each.data),
        ]
        for each in found
    ]
    return _table([heading, "Value", "95 % interval", "Rows", "Data"], rows)


def _chosen(source: dict[str, Any]) -> str:
    chosen = source.get("chosen_by")
    if not chosen:
        return ""
    if isinstance(chosen, dict):
        return ", ".join(f"{key}: {value}" for key, value in chosen.items())
    return str(chosen)


def _hardware(run: Training) -> str:
    gpus = f"{run.gpus} GPU{'s' if run.gpus > 1 else ''}" if run.gpus else ""
    return ", ".join(part for part in (gpus, f"target {run.target}" if run.target else "") if part)


def _fields(fields: Sequence[ModelField]) -> str:
    return ", ".join(f"{each.name}: {each.type}" if each.name else each.type for each in fields[:20])


def _base(given: str) -> str:
    """Return the hub's id of a base model; other places as they are."""
    return given.removeprefix("hf:").partition("@")[0] if given.startswith("hf:") else given


def _hub_name(data: DataSet) -> str:
    return data.source if _HUB_ID.fullmatch(data.source) and "/" in data.source else data.name


def _day(seconds: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds)) if seconds else ""


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _number(value: float | None) -> str:
    """
    >>> [_number(each) for each in (0.91234567, 1234567.0, 3e-9)]
    ['0.9123', '1.235e+06', '3e-09']
    """
    return "" if value is None else f"{value:.4g}"


# What runs, tags and files say is text of others: it must not become headings, marks of ours, links or HTML.


def _line(text: str) -> str:
    """Return a text on one line, without characters that Markdown and HTML read."""
    plain = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]<>|#~!&$])", r"\\\1", plain)


def _prose(text: str) -> str:
    """Return Markdown of MLflow's description without headings of level 1 and 2, marks of ours and open fences."""
    lines = [re.sub(r"^(\s*)#{1,2}(?=\s)", r"\1###", line) for line in text.splitlines()]
    plain = [line for line in lines if "<!--" not in line]
    if sum(line.lstrip().startswith(("```", "~~~")) for line in plain) % 2:
        plain.append("```")
    return "\n".join(plain)


def _cell(text: str) -> str:
    return _line(text)


def _code(text: str) -> str:
    return f"`{' '.join(text.replace('`', chr(39)).replace('|', '/').split())}`"


def _bullets(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"- **{name}:** {_line(value)}" for name, value in rows if value)


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _fenced(text: str, language: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part.strip("\n") for part in parts if part.strip())
