"""What the system's ssh prints, in sentences."""

from __future__ import annotations

import pytest

from genops_lab.links.openssh_errors import explain


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        (
            "ssh: connect to host 127.0.0.1 port 9: Connection refused\r\n",
            "gpu-box: the connection was refused.",
        ),
        (
            "Warning: Permanently added x\nme@box: Permission denied (publickey).\n",
            "gpu-box refused the login (me@box: Permission denied (publickey)).",
        ),
    ],
)
def test_a_message_is_a_sentence_and_says_it_once(stderr: str, message: str) -> None:
    found = explain(stderr, "gpu-box")
    assert found is not None and found.message == message and found.hint.endswith(".")
