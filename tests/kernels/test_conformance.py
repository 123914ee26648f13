"""Jupyter's own suite for kernels, against a kernel on a host behind a real sshd."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import jupyter_kernel_test
import pytest

from tests.kernels.places import TARGET, Place, a_place
from tests.kernels.warm import warmed
from tests.support.homes import temporary_home
from tests.support.sshd import Sshd

#: unittest's classes have no fixtures
HOSTS: list[tuple[Place, Path]] = []


@pytest.fixture(scope="module", autouse=True)
def _host() -> Iterator[None]:
    with (
        temporary_home() as home,
        Sshd() as host,
        a_place(home, host.route(target=TARGET, python=sys.executable)) as place,
    ):
        HOSTS.append((place, host.home))
        yield


class TestOverSsh(jupyter_kernel_test.KernelTests):
    """ipykernel's own settings of the suite."""

    kernel_name = f"genops-{TARGET}"
    language_name = "python"
    file_extension = ".py"
    support_iopub_welcome = True
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = [{"text": "zi", "matches": {"zip"}}]  # noqa: RUF012
    complete_code_samples = ["1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n"]  # noqa: RUF012
    incomplete_code_samples = ["print('''hello", "def f(x):\n  x*2"]  # noqa: RUF012
    invalid_code_samples = ["import = 7q"]  # noqa: RUF012
    code_page_something = "zip?"
    code_generate_error = "raise"
    code_execute_result = [  # noqa: RUF012
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
    ]
    code_display_data = [  # noqa: RUF012
        {
            "code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))",
            "mime": "text/html",
        }
    ]
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "search")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


@pytest.mark.exhaustive
class TestStartedAhead(TestOverSsh):
    """The same with a kernel that stood ready."""

    @classmethod
    def setUpClass(cls) -> None:
        place, home = HOSTS[-1]
        (spare,) = warmed(place, home)
        super().setUpClass()
        (info,) = [each for each in place.call("kernels.list") if each["state"] == "running"]
        assert info["pid"] == spare, "it was not taken"
