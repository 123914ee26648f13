"""Write the code that loads a version, by its format."""

from __future__ import annotations

import json

from .files.models import ModelFacts


def loading_code(uri: str, tracking_uri: str, facts: ModelFacts, base: str = "") -> str:
    """Return Python code that loads the version at ``uri``. ``base`` is the base model of an adapter.

    >>> print(loading_code("models:/digits/3", "", ModelFacts(verdict="data", headline="", flavors=["sklearn"])))
    import mlflow
    <BLANKLINE>
    model = mlflow.pyfunc.load_model("models:/digits/3")
    """
    imports, lines = _lines(uri, facts, base)
    tracking = [f"mlflow.set_tracking_uri({json.dumps(tracking_uri)})"] if tracking_uri else []
    return "\n".join([*imports, "", *tracking, *lines]).strip()


def _lines(uri: str, facts: ModelFacts, base: str) -> tuple[list[str], list[str]]:
    quoted = json.dumps(uri)
    download = f"folder = mlflow.artifacts.download_artifacts({quoted})"
    if facts.flavors:
        return ["import mlflow"], [f"model = mlflow.pyfunc.load_model({quoted})"]
    paths = {each.path for each in facts.files}
    if "adapter_config.json" in paths:
        return _adapter(download, base)
    if "GGUF" in facts.formats:
        file = _first(facts, "GGUF")
        return ["import mlflow", "from llama_cpp import Llama"], [
            download,
            f"model = Llama(model_path=f{_in_folder(file)})",
        ]
    if "ONNX" in facts.formats:
        file = _first(facts, "ONNX")
        return ["import mlflow", "import onnxruntime"], [
            download,
            f"session = onnxruntime.InferenceSession(f{_in_folder(file)})",
        ]
    if "safetensors" in facts.formats and "config.json" in paths:
        return ["import mlflow", "from transformers import AutoModel, AutoTokenizer"], [
            download,
            "# For text generation, AutoModelForCausalLM in place of AutoModel.",
            "model = AutoModel.from_pretrained(folder)",
            *(["tokenizer = AutoTokenizer.from_pretrained(folder)"] if _has_tokenizer(paths) else []),
        ]
    if "safetensors" in facts.formats:
        file = _first(facts, "safetensors")
        return ["import mlflow", "from safetensors.numpy import load_file"], [
            download,
            f"weights = load_file(f{_in_folder(file)})",
        ]
    return ["import mlflow"], [download]


def _adapter(download: str, base: str) -> tuple[list[str], list[str]]:
    if base.startswith("hf:"):
        name, _, revision = base.removeprefix("hf:").partition("@")
        arguments = json.dumps(name) + (f", revision={json.dumps(revision)}" if revision else "")
        whole = f"base = AutoModelForCausalLM.from_pretrained({arguments})"
    else:
        found = base if base.startswith("models:/") else ""
        place = f"mlflow.artifacts.download_artifacts({json.dumps(found)})" if found else json.dumps(base)
        whole = f"base = AutoModelForCausalLM.from_pretrained({place})"
    return ["import mlflow", "from peft import PeftModel", "from transformers import AutoModelForCausalLM"], [
        download,
        whole,
        "model = PeftModel.from_pretrained(base, folder)",
    ]


def _first(facts: ModelFacts, format: str) -> str:
    return min(each.path for each in facts.files if each.format == format)


def _in_folder(path: str) -> str:
    return json.dumps("{folder}/" + path.replace("{", "{{").replace("}", "}}"))


def _has_tokenizer(paths: set[str]) -> bool:
    return bool(paths & {"tokenizer.json", "tokenizer.model", "tokenizer_config.json"})
