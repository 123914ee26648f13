"""What the system's ssh prints, in sentences."""

from __future__ import annotations

import pytest

from genops_lab.hosts.providers.ssh.openssh_errors import cut, explain


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        (
            "ssh: connect to host 127.0.0.1 port 9: Connection refused\r\n",
            "gpu-box refused the connection.",
        ),
        (
            "Warning: Permanently added x\nme@box: Permission denied (publickey).\n",
            "gpu-box refused the login (me@box: Permission denied (publickey)).",
        ),
        (
            "ssh_dispatch_run_fatal: Connection to 127.0.0.1 port 2299: Broken pipe\r\n",
            "gpu-box closed the connection during the login (Broken pipe).",
        ),
    ],
)
def test_a_message_is_a_sentence_and_says_it_once(stderr: str, message: str) -> None:
    found = explain(stderr, "gpu-box")
    assert found is not None and found.message == message and found.hint.endswith(".")


def test_the_name_of_a_function_of_ssh_is_no_part_of_the_message() -> None:
    said = cut(
        "ssh_dispatch_run_fatal: Connection to 10.0.0.1 port 22: message authentication code incorrect\r\n",
        "gpu-box",
    )
    assert said.message == "The connection to gpu-box was cut: message authentication code incorrect."
