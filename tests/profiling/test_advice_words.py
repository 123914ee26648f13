"""What advice says; its sentences are in tests/golden/sentences.txt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genops_lab.profiling import analyze
from genops_lab.profiling.models import Advice
from tests.support.golden import Sentences

from .events import ADD, H100, Event, busy, call, kernel, operator, written


def only(path: Path) -> Advice:
    [found] = analyze(path).advice
    return found


def said(found: Advice) -> list[str]:
    """All that a person reads of it."""
    texts = (found.title, found.evidence, found.suggestion, found.code_hint)
    return [found.code, *(f"    {line}" for text in texts for line in text.split("\n") if line)]


def slow(count: int, name: str = ADD, length: float = 900.0) -> list[Any]:
    return [("aten::add", [[8192, 8192], [8192, 8192]], "c10::BFloat16", name, length)] * count


def test_calls_are_counted_as_people_count_and_the_speed_is_known_from_somewhere(
    tmp_path: Path, sentences: Sentences
) -> None:
    sentences_said = []
    for count in (1, 2, 1200):
        sentences_said += said(only(written(tmp_path, busy(slow(count)), **H100)))
    for name in ("sm90_add", "add"):
        sentences_said += [
            f"{name}, of a device without a name",
            *said(only(written(tmp_path, busy(slow(9, name, 2000.0))))),
        ]
    sentences.check("advice on slow operators", sentences_said)


def test_gaps_around_copies_are_counted_as_gaps(tmp_path: Path, sentences: Sentences) -> None:
    """The host copies, launches two kernels late, copies: two gaps a copy."""
    events: list[Event] = []
    for number in range(4):
        at = 1000.0 * number
        events += [operator("aten::copy_", at, 500), call("cudaMemcpyAsync", at + 10, 480, 3 * number + 1)]
        events += [kernel("Memcpy HtoD (Pinned -> Device)", at + 200, 20, 3 * number + 1, cat="gpu_memcpy")]
        for nth in (0, 1):
            own = 3 * number + 2 + nth
            events += [call("cudaLaunchKernel", at + 510 + 20 * nth, 5, own)]
            events += [kernel("gemm", at + 520 + 20 * nth, 19.9 if nth == 0 else 450, own)]
    advice = analyze(written(tmp_path, events, **H100)).advice
    sentences.check("advice on copies", [line for each in advice for line in said(each)])


def _everything_wrong() -> list[Event]:
    """What a CUDA program may do, without an operator: each round copies and waits, launches late, communicates,
    multiplies in fp32, gives memory back and computes on the host."""
    events: list[Event] = []
    at, number = 0.0, 0

    def ran(name: str, called: str, held: float, start: float, length: float, cat: str = "kernel") -> None:
        nonlocal at, number
        number += 1
        events.append(call(called, at, held, number))
        events.append(kernel(name, at + start, length, number, cat=cat))
        at += max(held, start + length)

    for _ in range(10):
        ran("Memcpy HtoD (Pageable -> Device)", "cudaMemcpyAsync", 510, 10, 500, "gpu_memcpy")
        for _ in range(50):
            at += 30
            ran("small", "cudaLaunchKernel", 5, 8, 4)
        ran("ncclDevKernel_AllReduce_Sum_f32_RING_LL", "cudaLaunchKernelExC", 5, 8, 800)
        ran("volta_sgemm_128x32_nn", "cudaLaunchKernel", 5, 8, 1500)
        for name in ("cudaFree", "cudaMalloc"):
            events.append(call(name, at, 150, 0))
            at += 150
        ran("Memcpy DtoH (Device -> Pageable)", "cudaMemcpyAsync", 410, 5, 400, "gpu_memcpy")
        at += 2_000
    return events


@pytest.mark.parametrize("torch", [False, True])
def test_a_program_without_torch_is_told_nothing_of_torch(
    tmp_path: Path, torch: bool, sentences: Sentences
) -> None:
    events = [*_everything_wrong(), *([operator("aten::mm", 1, 2)] if torch else [])]
    advice = analyze(written(tmp_path, events, **H100)).advice
    assert {each.code for each in advice} == {
        *("alloc_retries", "exposed_comm", "fp32_math", "gpu_idle", "h2d_blocking", "h2d_unpinned"),
        *("launch_bound", "sync_other"),
    }
    section = f"advice on everything that a program {'with' if torch else 'without'} torch can do wrong"
    sentences.check(section, [line for each in advice for line in said(each)])
    words = ("Python", "torch", "DataLoader", ".cpu()", "non_blocking", "autocast", "empty_cache", "DDP")
    sentences_said = {
        (each.code, word)
        for each in advice
        for word in words
        if any(word in text for text in (each.title, each.evidence, each.suggestion, each.code_hint))
    }
    assert bool(sentences_said) == torch, sentences_said
    assert all(bool(each.code_hint) == torch for each in advice if each.code != "gpu_idle")


TALL = [[131_072, 4096], [4096, 8]]
WIDE = [[8, 4096], [4096, 131_072]]
QKV = [[1, 32, 32_768, 128]] * 3
MI300X: dict[str, Any] = {"deviceProperties": [{"id": 0, "name": "AMD Instinct MI300X", "numSms": 304}]}
SDPA = "aten::scaled_dot_product_attention"


def test_changes_fit_the_shape_and_the_maker(tmp_path: Path, sentences: Sentences) -> None:
    """A product with few columns or few rows; attention on a device of NVIDIA or of AMD."""
    sentences_said = []
    for top, name, dims, length in (
        (H100, "aten::mm", TALL, 3_000.0),
        (H100, "aten::mm", WIDE, 3_000.0),
        (H100, SDPA, QKV, 150_000.0),
        (MI300X, SDPA, QKV, 150_000.0),
    ):
        found = only(written(tmp_path, busy([(name, dims, "c10::BFloat16", "kernel", length)] * 5), **top))
        sentences_said += [f"{name} {dims}, {top['deviceProperties'][0]['name']}", *said(found)]
    sentences.check("advice on shapes and makers", sentences_said)
