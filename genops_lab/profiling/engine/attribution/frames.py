"""Python frames as profilers name them, and whose code they are."""

from __future__ import annotations

import re
import sys
from enum import IntEnum
from typing import NamedTuple

# Kineto cuts the folders of sys.path off, so a package that was installed looks like one of the user's own
# beside the script. These are known by their names.
_MACHINERY = frozenset(
    {
        *sys.stdlib_module_names,
        *(
            "torch",
            "functorch",
            "torchgen",
            "triton",
            "torch_xla",
            "torch_npu",
            "intel_extension_for_pytorch",
        ),
        *("numpy", "scipy", "pandas", "pyarrow", "cupy", "numba", "sympy", "networkx", "PIL", "cv2", "tqdm"),
        *("ipykernel", "IPython", "ipywidgets", "traitlets", "tornado", "zmq", "jupyter_client"),
        *("typing_extensions", "six", "decorator", "wrapt", "attr", "attrs", "packaging", "pydantic", "yaml"),
        *("jaxtyping", "beartype", "typeguard", "opt_einsum", "einops", "fsspec", "requests", "urllib3"),
        *("debugpy", "pytest", "_pytest", "pluggy", "cloudpickle", "dill", "psutil", "matplotlib"),
        *("genops", "genops_lab", "mlflow", "wandb", "tensorboard", "tensorboardX"),
    }
)
_LIBRARIES = frozenset(
    {
        *("torchvision", "torchaudio", "torchtext", "torchrec", "torchdata", "torchtune", "torchtitan", "torchao"),
        *("torchmetrics", "torch_geometric", "torch_scatter", "torch_sparse", "fbgemm_gpu", "fairscale", "fairseq"),
        *("transformers", "diffusers", "accelerate", "peft", "trl", "datasets", "tokenizers", "huggingface_hub"),
        *("safetensors", "sentence_transformers", "optimum", "bitsandbytes", "timm", "evaluate", "open_clip"),
        *("lightning", "pytorch_lightning", "lightning_fabric", "ignite", "fastai", "composer", "catalyst"),
        *("deepspeed", "megatron", "apex", "transformer_engine", "xformers", "flash_attn"),
        *("flashinfer", "liger_kernel"),
        *("vllm", "sglang", "tensorrt_llm", "text_generation_server", "lmdeploy", "aiter", "deep_gemm", "deep_ep"),
        *("sklearn", "skimage", "kornia", "albumentations", "monai", "detectron2", "mmcv", "mmdet", "mmengine"),
        *("ultralytics", "segment_anything", "nltk", "spacy", "gym", "gymnasium", "stable_baselines3", "ray"),
        *("hydra", "omegaconf", "absl", "fire", "typer", "click", "uvicorn", "fastapi", "starlette", "gradio"),
    }
)  # fmt: skip
_FRAME = re.compile(r"(?P<file>.+)\((?P<line>\d{1,9})\): (?P<function>.+)", re.DOTALL)
_INSTALLED = re.compile(r"(?:^|/)(?:site|dist)-packages/(?P<package>[^/]+)")
_STANDARD = re.compile(r"/(?:lib|lib64|Lib)/(?:python\d[\d.]*/|[^/]+$)|/python\d[\d.]*\.zip/", re.IGNORECASE)
_BUILT = re.compile(r"(?:^|/)torch/(?:_\w+|autograd|nn|optim|utils|cuda|distributed|profiler|fx|jit)[./]")
#: What compilers write: not a person's code.
_GENERATED = re.compile(r"torchinductor|torch_compile_debug|<eval_with_key>|/\.triton/")
_CELL = re.compile(r"<ipython-input-|(?:^|/)ipykernel_\d+/")
_DRIVE = re.compile(r"[A-Za-z]:/")


class Owner(IntEnum):
    """Whose code a frame is. Of two frames the one with the higher value says more to a person."""

    #: Python's own, the framework's, and tools'.
    MACHINERY = 0
    #: An installed package that models are made with.
    LIBRARY = 1
    USER = 2


class Frame(NamedTuple):
    """A Python function as a profiler names it."""

    file: str
    line: int
    function: str

    @property
    def owner(self) -> Owner:
        """Whose code it is, by the path; ``torch`` and the standard library are MACHINERY."""
        path = self.file.replace("\\", "/")
        if _CELL.search(path):
            return Owner.USER
        if path.startswith("<") or _GENERATED.search(path) or _BUILT.search(path):
            return Owner.MACHINERY
        installed = _INSTALLED.search(path)
        if installed:
            return _known(installed["package"], Owner.LIBRARY)
        if path.startswith("/") or _DRIVE.match(path):
            return Owner.MACHINERY if _STANDARD.search(path) else Owner.USER
        return _known(path.partition("/")[0], Owner.USER)


def is_cell(file: str) -> bool:
    """Whether it is what a notebook's cell was compiled as."""
    return _CELL.search(file.replace("\\", "/")) is not None


def parse(name: str) -> Frame | None:
    """``train.py(12): forward``; None for ``nn.Module: Linear_0``, ``<built-in function add>`` and others."""
    found = _FRAME.fullmatch(name)
    return Frame(found["file"], int(found["line"]), found["function"]) if found else None


def innermost_of(stack: str) -> Frame | None:
    """The frame of a ``Call stack`` (innermost first, by semicolons) that says most; None without one."""
    best: Frame | None = None
    for part in stack.split(";"):
        frame = parse(part)
        if frame is None:
            continue
        owner = frame.owner
        if owner == Owner.USER:
            return frame
        if owner == Owner.LIBRARY and best is None:
            best = frame
    return best


def _known(package: str, otherwise: Owner) -> Owner:
    package = package.removesuffix(".py")
    if package in _MACHINERY:
        return Owner.MACHINERY
    return Owner.LIBRARY if package in _LIBRARIES else otherwise
