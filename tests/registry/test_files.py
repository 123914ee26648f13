"""What files say is read right, and no file that is built to mislead passes for data. Nothing is loaded."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genops_lab.deployments import question
from genops_lab.registry.files import source as bounds
from genops_lab.registry.files.folder import MAX_FILES
from genops_lab.registry.files.judging import judge
from genops_lab.registry.files.models import FileFacts, ModelFacts, ModelField
from genops_lab.registry.files.reader import facts, inspect, inspect_listing, read_model, stamp
from genops_lab.registry.files.source import Budget, Memory

from .hostile_bytes import gguf, message, mlmodel, onnx, packed, pickled, tensor, tensors
from .hostile_files import HOSTILE, Hostile

ORACLES = Path(__file__).parent / "oracles"
#: Format and verdict of the files that the libraries wrote.
WRITTEN = {
    "array.npy": ("NumPy", "data"),
    "arrays.npz": ("NumPy", "data"),
    "custom.onnx": ("ONNX", "code"),
    "exported.pt2": ("PyTorch export", "code"),
    "external.data": ("ONNX weights", "data"),
    "external.onnx": ("ONNX", "data"),
    "forest.skops": ("skops", "data"),
    "function.cloudpickle": ("pickle", "code"),
    "function.onnx": ("ONNX", "data"),
    "function.skops": ("skops", "code"),
    "legacy.pt": ("pickle", "code"),
    "linear.safetensors": ("safetensors", "data"),
    "list.pkl": ("pickle", "code"),
    "matmul.onnx": ("ONNX", "data"),
    "objects.npy": ("NumPy objects", "code"),
    "packed.joblib": ("joblib pickle", "code"),
    "pipeline.skops": ("skops", "data"),
    "plain.joblib": ("pickle", "code"),
    "state.pt": ("PyTorch pickle", "code"),
    "tiny.gguf": ("GGUF", "data"),
    "write.py": ("Python code", "code"),
}


def put(folder: Path, *names: str, **texts: str) -> ModelFacts:
    """What a folder says that has these oracles and these texts (``__`` stands for a dot)."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes((ORACLES / name).read_bytes())
    for name, content in texts.items():
        (folder / name.replace("__", ".")).write_text(content)
    return read_model(folder)


def verdict_on(found: ModelFacts, name: str) -> FileFacts:
    return next(each for each in found.files if each.path == name)


def write(folder: Path, hostile: Hostile) -> Path:
    folder.mkdir()
    path = folder / hostile.name
    if callable(hostile.content):
        hostile.content(path)
    else:
        path.write_bytes(hostile.content)
    return path


def test_files_of_the_libraries_are_known() -> None:
    found = {each.path: (each.format, each.verdict) for each in read_model(ORACLES).files}
    assert {name: judged for name, judged in found.items() if "__pycache__" not in name} == WRITTEN


def test_safetensors_tell_parameters_by_type(tmp_path: Path) -> None:
    found = put(tmp_path, "linear.safetensors")
    assert (found.parameters, found.dtypes) == (137, {"bf16": 128, "fp32": 8, "int64": 1})
    assert (found.verdict, found.headline, found.advice) == ("data", "Files hold data only", "")
    assert (found.formats, found.size_bytes, found.file_count) == (["safetensors"], 576, 1)


def test_the_quantisation_is_that_of_the_weights_that_count(tmp_path: Path) -> None:
    found = put(tmp_path, "linear.safetensors", "tiny.gguf")
    assert (found.parameters, found.quantization) == (137, "")


def test_gguf_tells_architecture_quantisation_licence_and_base(tmp_path: Path) -> None:
    found = put(tmp_path, "tiny.gguf")
    assert (found.parameters, found.dtypes) == (384, {"Q8_0": 256, "fp32": 128})
    assert (found.quantization, found.architecture, found.context_length) == ("Q8_0", "llama", 2048)
    assert (found.licence, found.base_model) == ("apache-2.0", "someone/tiny-base")
    assert "chat template" in found.files[0].reason


def test_onnx_tells_its_signature_and_external_weights(tmp_path: Path) -> None:
    found = put(tmp_path, "external.onnx", "external.data")
    assert (found.parameters, found.dtypes, found.verdict) == (12, {"fp32": 12}, "data")
    assert found.signature is not None
    assert found.signature.inputs == [ModelField(name="x", type="float32[batch, 4]")]
    assert found.signature.outputs == [ModelField(name="y", type="float32[batch, 3]")]
    (tmp_path / "external.data").write_bytes(b"\0" * 47)
    assert "ends too early" in verdict_on(read_model(tmp_path), "external.onnx").reason
    (tmp_path / "external.data").write_bytes(pickled(4) + b"\0" * 48)
    assert verdict_on(read_model(tmp_path), "external.data").verdict == "code"


def test_a_snapshot_tells_what_its_configuration_and_card_say(tmp_path: Path) -> None:
    shards = {"weight_map": {"a": "linear.safetensors"}}
    found = put(
        tmp_path,
        "linear.safetensors",
        config__json=json.dumps({"architectures": ["Llama"], "max_position_embeddings": 4096}),
        README__md="---\nlicense: other\nlicense_name: mine\nbase_model:\n- someone/base\n---\n# Card\n",
        model__safetensors__index__json=json.dumps(shards),
    )
    assert (found.architecture, found.context_length) == ("Llama", 4096)
    assert (found.licence, found.base_model, found.parameters) == ("mine", "someone/base", 137)
    (tmp_path / "consolidated.safetensors").write_bytes((ORACLES / "linear.safetensors").read_bytes())
    assert read_model(tmp_path).parameters == 137  # the index names the weights that count
    quantized = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    (tmp_path / "config.json").write_text(json.dumps(quantized))
    found = read_model(tmp_path)
    assert (found.parameters, found.quantization) == (None, "gptq 4-bit")
    (tmp_path / "README.md").write_text("---\na: &a [x]\nb: *a\n---\n")
    assert "README.md: Its front matter cannot be read" in read_model(tmp_path).problems[0]


def test_an_adapter_names_its_base(tmp_path: Path) -> None:
    adapter = {"peft_type": "LORA", "base_model_name_or_path": "someone/base"}
    found = put(tmp_path, "linear.safetensors", adapter_config__json=json.dumps(adapter))
    assert (found.base_model, found.architecture) == ("someone/base", "LORA adapter")


def test_an_mlmodel_tells_flavors_signature_example_and_requirements(tmp_path: Path) -> None:
    signature = {
        "inputs": json.dumps(
            [
                {"name": "x", "type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}},
                {"name": "why", "type": "string", "required": False},
            ]
        ),
        "outputs": json.dumps([{"type": "array", "items": {"type": "long"}}]),
        "params": json.dumps([{"name": "t", "type": "double", "default": 1.0}]),
    }
    found = put(
        tmp_path,
        "pipeline.skops",
        MLmodel="flavors: {sklearn: {code: null}, python_function: {loader_module: mlflow.sklearn}}\n"
        "saved_input_example_info: {artifact_path: input_example.json}\n"
        f"signature: {json.dumps(signature)}\n",
        input_example__json="[[1, 2]]",
        requirements__txt="# made by MLflow\nscikit-learn==1.9.1\n\n",
    )
    assert found.verdict == "data" and found.problems == []
    assert found.flavors == ["sklearn", "python_function"]
    assert found.signature is not None
    assert found.signature.inputs == [
        ModelField(name="x", type="float64[?, 2]"),
        ModelField(name="why", type="string, optional"),
    ]
    assert found.signature.outputs == [ModelField(type="list of long")]
    assert found.signature.params == [ModelField(name="t", type="double")]
    assert (found.input_example, found.requirements) == ("[[1, 2]]", ["scikit-learn==1.9.1"])


def test_the_worst_file_comes_first_and_is_named(tmp_path: Path) -> None:
    found = put(tmp_path, "linear.safetensors", "list.pkl", "state.pt", MLmodel="flavors: {sklearn: {}}\n")
    assert found.headline == "Runs code when loaded: list.pkl, state.pt"
    assert [each.path for each in found.files[:2]] == ["list.pkl", "state.pt"]
    assert "Load it only if you trust who made it. Safer:" in found.advice and "skops" in found.advice
    (tmp_path / "evil.safetensors").write_bytes(pickled(4))
    found = read_model(tmp_path)
    assert found.headline == "Damaged or misleading files: evil.safetensors"
    assert found.advice.startswith("Do not load this version.")


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused_or_marked(tmp_path: Path, kind: str) -> None:
    hostile = HOSTILE[kind]
    path = write(tmp_path / "model", hostile)
    found = read_model(tmp_path / "model")
    [judged] = found.files
    assert (judged.verdict, found.verdict) == (hostile.verdict, hostile.verdict)
    assert re.search(hostile.reason, judged.reason), judged.reason
    assert found.headline != "Files hold data only"
    assert judged.path.isprintable()
    assert path.is_symlink() or path.exists()


def test_a_bomb_is_never_unpacked(tmp_path: Path) -> None:
    content = packed(*((f"{at}.bin", b"\0" * 3_900_000) for at in range(20)))
    budget = Budget()
    found = judge(Memory(content, budget), "w.zip")
    assert budget.unpacked_bytes <= bounds.MAX_UNPACKED_BYTES
    assert (found.verdict, "were unpacked before" in found.reason or "no format" in found.reason) == (
        "unknown",
        True,
    )


def test_many_files_and_deep_folders_are_not_all_read(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(30):
        deep /= "d"
    deep.mkdir(parents=True)
    (deep / "w.pkl").write_bytes(pickled(4))
    found = read_model(tmp_path)
    assert (found.complete, found.verdict, found.files) == (False, "unknown", [])
    for at in range(50):
        (tmp_path / f"{at}.txt").write_text("x")
    found = read_model(tmp_path)
    assert (found.file_count, found.verdict) == (50, "unknown")
    assert found.headline == "Not known to be data only: some files were not read"
    assert question.title(found) == "Loading this model may run code: some files were not read."
    assert question.findings(found)[0].startswith("Some files were not read")
    assert MAX_FILES == 5_000


def test_reading_stops_at_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_READ_BYTES", 6_000)
    for at in range(3):
        (tmp_path / f"{at}.txt").write_bytes(b"x" * 1_500)
    found = read_model(tmp_path)
    assert (found.verdict, found.files[0].format) == ("unknown", "txt")
    assert "were read before" in found.files[0].reason


def test_large_weights_are_not_read(tmp_path: Path) -> None:
    """Only the header of 400 MB of weights is read; the file has holes, so that it takes no place."""
    header = json.dumps({"a": tensor(0, 400_000_000)}).encode()
    with (tmp_path / "m.safetensors").open("wb") as stream:
        stream.write(tensors(header))
        stream.truncate(8 + len(header) + 400_000_000)
    graph = message(5, message(1, 1) + message(2, 1) + message(9, b"\0" * 3_000_000))
    (tmp_path / "m.onnx").write_bytes(onnx(graph))
    budget = Budget()
    from genops_lab.registry.files.source import File

    for name in ("m.safetensors", "m.onnx"):
        with File(tmp_path, name, budget) as source:
            assert judge(source, name).verdict == "data"
    assert budget.read_bytes < 300_000


def test_files_on_another_machine_are_judged_by_their_names() -> None:
    small = {"MLmodel": mlmodel("{sklearn: {}, python_function: {loader_module: mlflow.sklearn}}")}
    sizes = {"MLmodel": len(small["MLmodel"]), "model.pkl": 7, "weights.bin": 9}
    found = facts(inspect_listing(sizes, small, complete=True))
    assert {each.path: each.verdict for each in found.files} == {
        "model.pkl": "code",
        "weights.bin": "unknown",
        "MLmodel": "data",
    }
    assert (found.complete, found.size_bytes, found.flavors) == (
        False,
        sum(sizes.values()),
        ["sklearn", "python_function"],
    )


def test_a_stamp_changes_with_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    before = stamp(tmp_path)
    assert stamp(tmp_path) == before
    (tmp_path / "b.txt").write_text("x")
    assert stamp(tmp_path) != before


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(set(WRITTEN) - {"forest.skops", "write.py"})),
    flips=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=4),
    cut=st.one_of(st.none(), st.integers(0, 1 << 16)),
)
def test_damage_never_costs_more_than_the_bounds(
    name: str, flips: list[tuple[int, int]], cut: int | None
) -> None:
    content = bytearray((ORACLES / name).read_bytes())
    for at, byte in flips:
        content[at % len(content)] = byte
    if cut is not None:
        del content[cut % (len(content) + 1) :]
    budget = Budget()
    found = judge(Memory(bytes(content), budget), name)
    assert found.verdict in ("data", "code", "unknown", "refused")
    assert budget.steps <= bounds.MAX_STEPS + 1
    assert budget.unpacked_bytes <= bounds.MAX_UNPACKED_BYTES


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(
        [
            "m.safetensors",
            "m.gguf",
            "m.onnx",
            "m.npy",
            "m.zip",
            "m.pkl",
            "m",
            "MLmodel",
            "README.md",
            "config.json",
        ]
    ),
    start=st.sampled_from(
        [b"", b"GGUF\x03\0\0\0", b"PK\x03\x04", b"\x80\x04", b"\x08\x08\x3a", b"\x93NUMPY\x01\0"]
    ),
    content=st.binary(max_size=400),
)
def test_noise_never_costs_more_than_the_bounds(name: str, start: bytes, content: bytes) -> None:
    budget = Budget()
    found = judge(Memory(start + content, budget), name)
    assert found.verdict in ("data", "code", "unknown", "refused")
    assert budget.steps < 100_000
    whole = facts(inspect_listing({name: 1}, {name: start + content}, complete=True))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(whole), type=ModelFacts) == whole


WATCHED = """
import sys
from pathlib import Path
from genops_lab.registry.files.reader import read_model
import bz2, lzma, pickletools, yaml, zlib
import genops_lab.registry.files.skops
read_model(Path(sys.argv[2]))  # what loads at the first use is loaded
root, seen = sys.argv[1], []
def watch(event, args):
    if event in ("exec", "compile", "pickle.find_class", "marshal.loads", "ctypes.dlopen", "os.system", "import"):
        seen.append((event, str(args)[:200]))
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "os.remove"):
        seen.append((event, str(args)[:200]))
    if event == "open" and not isinstance(args[0], int) and (args[2] or 0) & 3:
        seen.append(("open to write", str(args[0])))
    if event == "open" and str(args[0]).startswith("/") and not str(args[0]).startswith(root):
        seen.append(("open outside", str(args[0])))
modules = set(sys.modules)
sys.addaudithook(watch)
found = read_model(Path(root))
print(len(found.files), seen, sorted(set(sys.modules) - modules))
"""


def test_nothing_is_loaded_to_look_at_it(tmp_path: Path) -> None:
    """An audit hook sees no import, no compiled or unpickled object, no process, and no file outside of the folder."""
    root = tmp_path / "models"
    root.mkdir()
    for at, hostile in enumerate(HOSTILE.values()):
        write(root / f"{at}", hostile)
    for name in WRITTEN:
        (root / name).write_bytes((ORACLES / name).read_bytes())
    (tmp_path / "warm").mkdir()
    (tmp_path / "warm" / "MLmodel").write_bytes(mlmodel("{}"))
    (tmp_path / "warm" / "m.gguf").write_bytes(gguf())
    (tmp_path / "warm" / "a.bin").write_bytes(pickled(0))
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED, str(root), str(tmp_path / "warm")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    count, _, rest = ended.stdout.partition(" ")
    assert int(count) == len(HOSTILE) + len(WRITTEN) + 1  # and the other name of the hard link
    assert rest.strip() == "[] []"


def test_the_pickles_of_a_folder_are_known(tmp_path: Path) -> None:
    put(tmp_path, "linear.safetensors", "exported.pt2")
    assert not inspect(tmp_path).holds_pickle
    put(tmp_path, "packed.joblib")
    assert inspect(tmp_path).holds_pickle
