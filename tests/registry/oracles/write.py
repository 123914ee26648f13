"""Write the model files of this folder with the libraries that own the formats.

The files are committed, so that tests need none of these libraries: onnx alone has 31 MB. To write them again:

    pip install onnx gguf safetensors torch skops joblib cloudpickle scikit-learn
    python tests/registry/oracles/write.py
"""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

HERE = Path(__file__).parent


def write_safetensors() -> None:
    import torch
    from safetensors.torch import save_file

    save_file(
        {
            "weight": torch.zeros(8, 16, dtype=torch.bfloat16),
            "bias": torch.zeros(8),
            "steps": torch.zeros((), dtype=torch.int64),
            "none": torch.zeros(0, 4),
        },
        HERE / "linear.safetensors",
        metadata={"format": "pt"},
    )


def write_gguf() -> None:
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(HERE / "tiny.gguf", "llama")
    writer.add_name("Tiny")
    writer.add_context_length(2048)
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, "Tiny base")
    writer.add_base_model_repo_url(0, "https://huggingface.co/someone/tiny-base")
    writer.add_token_list(["<s>", "</s>", "a"] * 50)
    writer.add_token_scores([0.5] * 150)
    writer.add_chat_template("{{ messages }}")
    writer.add_tensor("token_embd.weight", np.zeros((4, 32), dtype=np.float32))
    quantized = gguf.quantize(np.ones((4, 64), dtype=np.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("output.weight", quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_onnx() -> None:
    (HERE / "external.data").unlink(missing_ok=True)  # onnx appends to it
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def model(node: onnx.NodeProto, *opsets: onnx.OperatorSetIdProto, **more: object) -> onnx.ModelProto:
        graph = helper.make_graph(
            [node],
            "graph",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
            [numpy_helper.from_array(np.zeros((4, 3), dtype=np.float32), "w")],
        )
        return helper.make_model(graph, opset_imports=opsets or [helper.make_opsetid("", 20)], **more)

    multiply = helper.make_node("MatMul", ["x", "w"], ["y"])
    onnx.save(model(multiply), HERE / "matmul.onnx")
    onnx.save(
        model(multiply),
        HERE / "external.onnx",
        save_as_external_data=True,
        location="external.data",
        size_threshold=0,
    )
    foreign = helper.make_node("Multiply", ["x", "w"], ["y"], domain="com.someone")
    opsets = (helper.make_opsetid("", 20), helper.make_opsetid("com.someone", 1))
    onnx.save(model(foreign, *opsets), HERE / "custom.onnx")
    function = helper.make_function(
        "com.someone",
        "Multiply",
        ["a", "b"],
        ["c"],
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        [opsets[0]],
    )
    onnx.save(model(foreign, *opsets, functions=[function]), HERE / "function.onnx")


def write_pickles() -> None:
    import cloudpickle
    import joblib
    import numpy as np
    import torch

    torch.save({"w": torch.zeros(2)}, HERE / "state.pt")
    torch.save({"w": torch.zeros(2)}, HERE / "legacy.pt", _use_new_zipfile_serialization=False)
    exported = torch.export.export(torch.nn.Linear(2, 3), (torch.zeros(2, 2),))
    for node in exported.graph.nodes:
        node.meta.pop("stack_trace", None)  # it has paths of this machine
    torch.export.save(exported, HERE / "exported.pt2")
    joblib.dump({"a": np.zeros(3)}, HERE / "plain.joblib")
    joblib.dump({"a": np.zeros(3)}, HERE / "packed.joblib", compress=3)
    made: dict[str, object] = {}
    exec(compile("def add(x):\n    return x + 1\n", "model.py", "exec"), made)
    (HERE / "function.cloudpickle").write_bytes(cloudpickle.dumps(made["add"]))
    (HERE / "list.pkl").write_bytes(pickle.dumps([1, 2], protocol=5))


def write_skops() -> None:
    import skops.io
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    x, y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
    skops.io.dump(make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y), HERE / "pipeline.skops")
    skops.io.dump(RandomForestClassifier(2, max_depth=1).fit(x, y), HERE / "forest.skops")
    skops.io.dump(FunctionTransformer(shutil.rmtree), HERE / "function.skops")


def write_arrays() -> None:
    import numpy as np

    np.save(HERE / "array.npy", np.zeros((2, 3), dtype=np.float32))
    np.save(HERE / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez_compressed(HERE / "arrays.npz", a=np.zeros(3), b=np.zeros(2))


if __name__ == "__main__":
    for write in (write_safetensors, write_gguf, write_onnx, write_pickles, write_skops, write_arrays):
        write()
