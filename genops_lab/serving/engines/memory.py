"""Compute what a language model needs of memory: its weights, and the KV cache of its requests.

Each token keeps a key and a value in each layer: ``layers x KV heads x (key size + value size) x bytes a value``.
Source: Kwon et al., Efficient Memory Management for Large Language Model Serving with PagedAttention, SOSP 2023,
section 3. Ainslie et al., GQA, EMNLP 2023, has the grouped heads. Layers with a sliding window or without attention
need less, so the result is an upper bound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

#: Bytes of a value of the KV cache: float16, the default of llama.cpp, vLLM and SGLang for such models.
CACHE_VALUE_BYTES = 2
#: An engine without its model: the process, and the buffers of a computation.
ENGINE_BYTES = 250_000_000
#: No request is served well with less.
LEAST_CONTEXT = 512


@dataclass(frozen=True)
class Attention:
    """The shape of a model's attention. Sizes are in values."""

    layers: int
    kv_heads: int
    key_size: int
    value_size: int

    def token_bytes(self) -> int:
        """Return the bytes of the KV cache for one token.

        Example::

            Attention(30, 3, 64, 64).token_bytes() == 23_040  # SmolLM2-135M
        """
        return self.layers * self.kv_heads * (self.key_size + self.value_size) * CACHE_VALUE_BYTES


@dataclass(frozen=True)
class Need:
    """The memory that a model needs, in bytes, beside what is free. ``cache`` is for ``parallel`` requests of
    ``context`` tokens; 0 if the model's shape is not known.
    """

    weights: int
    cache: int
    context: int
    parallel: int
    free: int

    @property
    def total(self) -> int:
        """The bytes of weights, KV cache and engine."""
        return self.weights + self.cache + ENGINE_BYTES

    @property
    def fits(self) -> bool:
        """Whether the free memory holds it."""
        return self.total <= self.free

    def text(self) -> str:
        """Return the need in numbers, as one sentence."""
        tokens = f"{self.parallel} x {self.context:,} tokens"
        cache = f"KV cache {sized(self.cache)} for {tokens}" if self.cache else f"a KV cache for {tokens}"
        return (
            f"It needs weights {sized(self.weights)} + {cache} + engine {sized(ENGINE_BYTES)}; "
            f"{sized(self.free)} are free."
        )


@dataclass(frozen=True)
class GpuNeed:
    """The need of a model beside the GPUs of a machine, in bytes.

    ``cache`` is for one request of ``context`` tokens (0: unknown): the engine uses what is left for more. ``free`` has
    the free bytes of each GPU. The engine takes ``share`` of ``count`` GPUs, each of which holds an equal part.
    """

    weights: int
    cache: int
    context: int
    count: int
    share: float
    free: tuple[int, ...]

    @property
    def total(self) -> int:
        """The bytes of weights and KV cache."""
        return self.weights + self.cache

    @property
    def usable(self) -> int:
        """The bytes that the engine may take: the least of the chosen GPUs decides, as each holds an equal part."""
        chosen = sorted(self.free, reverse=True)[: self.count]
        return int(min(chosen, default=0) * self.share) * len(chosen)

    @property
    def fits(self) -> bool:
        """Whether there are enough GPUs with enough memory."""
        return len(self.free) >= self.count and self.total <= self.usable

    def text(self) -> str:
        """Return the need in numbers, as sentences."""
        of = f"{self.count} GPU" if self.count == 1 else f"{self.count} GPUs"
        cache = (
            f" + KV cache {sized(self.cache)} for a request of {self.context:,} tokens" if self.cache else ""
        )
        there = ", ".join(sized(each) for each in self.free)
        has = (
            f"1 GPU with {there} free" if len(self.free) == 1 else f"{len(self.free)} GPUs with {there} free"
        )
        return f"It needs {of} for weights {sized(self.weights)}{cache}; the machine has {has}."


def what_fits(need: Need | GpuNeed, token_bytes: int) -> str:
    """Return what would fit, as a hint."""
    if isinstance(need, GpuNeed):
        return _what_fits_gpus(need, token_bytes)
    left = need.free - need.weights - ENGINE_BYTES
    for parallel in sorted({need.parallel, 1}, reverse=True):
        context = left // (token_bytes * parallel) // 256 * 256 if token_bytes else 0
        if context >= LEAST_CONTEXT:
            return f"This fits: --set context={min(context, need.context)} --set parallel={parallel}"
    return "Free some memory, or deploy a smaller model or a smaller quantization of it."


def _what_fits_gpus(need: GpuNeed, token_bytes: int) -> str:
    other = "choose another host (--on TARGET), or deploy a GGUF file of a smaller quantization"
    if len(need.free) > need.count and replace(need, count=len(need.free)).fits:
        return f"All GPUs together hold it: --set tensor_parallel={len(need.free)}. Or {other}."
    if len(need.free) < need.count and replace(need, count=len(need.free)).fits:
        return f"This fits: --set tensor_parallel={len(need.free)}. Or {other}."
    left = replace(need, count=min(need.count, len(need.free))).usable - need.weights
    context = left // token_bytes // 256 * 256 if token_bytes else 0
    if context >= LEAST_CONTEXT:
        return f"This fits: --set context={context} --set tensor_parallel={min(need.count, len(need.free))}"
    return f"{other[0].upper()}{other[1:]}."


def sized(count: int) -> str:
    """Return a size in bytes as text, such as ``93 MB``: powers of 1,000, as makers of models state sizes."""
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if unit in ("GB", "TB") and value < 100 else f"{value:.0f} {unit}"
