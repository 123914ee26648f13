"""What stands in the way of recording a GPU, by the texts that Kineto and Nsight print; no GPU takes part in this."""

from __future__ import annotations

from typing import Any

import pytest

from genops_lab.runtime.profiling import recorder
from genops_lab.runtime.profiling.device_errors import named, without_device_events

#: Kineto at its start (init.cpp, torch 2.1): what failed, and behind any failure what one of permission would mean.
KINETO = """\
INFO:2023-10-30 20:57:45 14:14 init.cpp:121] Registering daemon config loader
WARNING:2023-10-30 20:57:45 14:14 init.cpp:155] function cbapi->getCuptiStatus() failed with error {error} ({number})
WARNING:2023-10-30 20:57:45 14:14 init.cpp:156] CUPTI initialization failed - CUDA profiler activities will be missing
INFO:2023-10-30 20:57:45 14:14 init.cpp:158] If you see CUPTI_ERROR_INSUFFICIENT_PRIVILEGES, refer to \
https://developer.nvidia.com/nvidia-development-tools-solutions-err-nvgpuctrperm-cupti
"""
NCU = """\
==PROF== Connected to process 4711 (/usr/bin/python3.11)
==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters on the target \
device 0. For instructions on enabling permissions and to get more information see \
https://developer.nvidia.com/ERR_NVGPUCTRPERM
"""


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            KINETO.format(error="CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED", number=39),
            "CUPTI serves one",
        ),
        (KINETO.format(error="CUPTI_ERROR_MAX_LIMIT_REACHED", number=12), "CUPTI serves one"),
        (KINETO.format(error="CUPTI_ERROR_HARDWARE_BUSY", number=26), "CUPTI serves one"),
        (KINETO.format(error="CUPTI_ERROR_INSUFFICIENT_PRIVILEGES", number=35), "(ERR_NVGPUCTRPERM)"),
        (KINETO.format(error="CUPTI_ERROR_NOT_INITIALIZED", number=15), "could not start"),
        (NCU, "(ERR_NVGPUCTRPERM)"),
        ("INFO:2023-10-30 20:57:45 14:14 init.cpp:121] Registering daemon config loader", ""),
    ],
)
def test_what_was_said_is_named(said: str, sentence: str) -> None:
    if sentence:
        assert sentence in named(said)
        assert named(said) == without_device_events(said, "cuda")
    else:
        assert named(said) == ""
        assert "no events of the cuda device" in without_device_events(said, "cuda")


def test_what_the_first_start_said_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUPTI says once in a process that it cannot; a recorder that says it stands in for it."""

    class Refused:
        def __init__(self, *_: Any) -> None:
            self.messages = recorder.NativeMessages()

        def start(self, _on_other: Any) -> None:
            self.messages._said.append("CUPTI initialization failed")

        def stop(self, _about: Any) -> None:
            """Nothing."""

    monkeypatch.setattr(recorder, "Recorder", Refused)
    monkeypatch.setattr(recorder._Start, "seconds", None)
    monkeypatch.setattr(recorder._Start, "said", "")
    monkeypatch.setattr(recorder, "_measured", recorder.Costs)
    recorder.warmed_up("cuda")
    assert "could not start" in without_device_events(recorder.said_at_first_start(), "cuda")
