"""Parse Python frames in traces, and find whose code they are."""

from __future__ import annotations

import re
import sys
from enum import IntEnum
from typing import NamedTuple

# Kineto removes the folders of sys.path, so an installed package looks like the user's code. These packages
# are known by name.
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
#: Code that compilers write, not users.
_GENERATED = re.compile(r"torchinductor|torch_compile_debug|<eval_with_key>|/\.triton/")
_CELL = re.compile(r"<ipython-input-|(?:^|/)ipykernel_\d+/")
_DRIVE = re.compile(r"[A-Za-z]:/")


class Owner(IntEnum):
    """The owner of a frame's code. The frame with the higher value is more useful to the user."""

    #: Code of Python, the framework and tools.
    MACHINERY = 0
    #: An installed package for building models.
    LIBRARY = 1
    USER = 2


class Frame(NamedTuple):
    """A Python function in a trace."""

    file: str
    line: int
    function: str

    @property
    def owner(self) -> Owner:
        """Return the owner, by the path; ``torch`` and the standard library are MACHINERY."""
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
    """Return whether the frame is a compiled notebook cell."""
    return _CELL.search(file.replace("\\", "/")) is not None


def parse(name: str) -> Frame | None:
    """Parse ``train.py(12): forward``; None for ``nn.Module: Linear_0``, ``<built-in function add>`` and
    others."""
    found = _FRAME.fullmatch(name)
    return Frame(found["file"], int(found["line"]), found["function"]) if found else None


def innermost_of(stack: str) -> Frame | None:
    """Return the most useful frame of a ``Call stack`` (innermost first, separated by semicolons); None
    without one."""
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
