"""What a card's messages hold."""

from __future__ import annotations

from typing import Any

import comm
import pytest

from genops_lab.kernel.widget import Widget


class _Comm(comm.base_comm.BaseComm):
    """Keeps what is sent: a page that hears it is `tests/ui/test_tracked_runs.py`'s."""

    sent: list[dict[str, Any]]

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        self.__dict__.setdefault("sent", []).append({"type": msg_type, **(data or {})})


def test_a_page_that_was_loaded_meanwhile_hears_that_the_run_diverged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[_Comm] = []

    def create(**options: Any) -> _Comm:
        made.append(_Comm(**options))
        return made[-1]

    monkeypatch.setattr(comm, "create_comm", create)
    state = {"series": {}, "diverged": {}, "params": {"lr": 1}, "elapsed_s": 1}
    widget = Widget("run", "", state)
    diverged = {"loss": "NaN since step 3"}
    widget.update({**state, "diverged": diverged})
    made[0].sent.clear()  # the page was away
    widget.update({**state, "diverged": diverged, "elapsed_s": 2})
    (message,) = made[0].sent
    assert message["state"] == {"diverged": diverged, "params": {"lr": 1}, "elapsed_s": 2}
    widget.update({**state, "diverged": diverged, "elapsed_s": 2})
    assert len(made[0].sent) == 1, "nothing changed"
