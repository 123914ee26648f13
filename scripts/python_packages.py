"""Python packages for ``.venv``: by uv, which takes seconds where pip takes minutes; by pip where uv cannot be had.

uv does not read pip's configuration, so it gets it translated: without the same indexes, wheel folders and
constraints it would choose other packages, such as a CUDA build of torch where pip has a folder with a CPU build.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from steps import ROOT, Shell, StepFailed, say

UV = "uv>=0.9,<1"

#: uv's variable for a setting of pip, and what separates several values there.
_TRANSLATED = {
    "index-url": ("UV_DEFAULT_INDEX", ""),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "constraint": ("UV_CONSTRAINT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "proxy": ("ALL_PROXY", ""),
    "cert": ("SSL_CERT_FILE", ""),
    "client-cert": ("SSL_CLIENT_CERT", ""),
    "timeout": ("UV_HTTP_TIMEOUT", ""),
    "default-timeout": ("UV_HTTP_TIMEOUT", ""),
    "retries": ("UV_HTTP_RETRIES", ""),
}
#: Settings of pip that do not change which packages are installed, nor where from.
_WITHOUT_EFFECT = {
    "cache-dir", "no-cache-dir", "disable-pip-version-check", "no-python-version-warning", "no-color", "no-input",
    "progress-bar", "quiet", "verbose", "log", "require-virtualenv", "break-system-packages", "root-user-action",
    "compile", "no-compile", "config-file", "no-warn-script-location", "prefer-binary",
}  # fmt: skip


class Untranslatable(Exception):
    """A setting of pip for which uv has no word here."""


def read_pip_settings(listed: str) -> dict[str, str]:
    """Return what ``pip config list`` prints as the settings of ``pip install``: variables win over files.

    >>> read_pip_settings("global.timeout='9'\\ninstall.find-links='/wheels'\\n:env:.timeout='60'")
    {'timeout': '60', 'find-links': '/wheels'}
    """
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        match = re.match(r"(global|install|:env:)\.([\w-]+)=('.*'|\".*\")$", line)
        if match:
            found[match[1]][match[2].replace("_", "-")] = str(ast.literal_eval(match[3]))
    settings = {**found["global"], **found["install"], **found[":env:"]}
    return {name: value for name, value in settings.items() if value.strip()}


def translate_for_uv(settings: Mapping[str, str]) -> dict[str, str]:
    """Return uv's variables for pip's settings. Raises Untranslatable.

    >>> translate_for_uv({"find-links": "/wheels /more", "quiet": "1"})
    {'UV_FIND_LINKS': '/wheels,/more'}
    """
    variables: dict[str, str] = {}
    for name, value in settings.items():
        if name in _WITHOUT_EFFECT:
            continue
        if name not in _TRANSLATED:
            raise Untranslatable(name)
        variable, separator = _TRANSLATED[name]
        variables[variable] = separator.join(value.split()) if separator else value.strip()
    if "UV_INDEX" in variables:
        # pip takes the best version of all indexes; uv, unasked, that of the first one that knows the name.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


class Installer:
    """Installs packages into the environment of ``python``."""

    def __init__(self, python: Path, folder: Path, environment: Callable[[], dict[str, str]]) -> None:
        self._python = python
        self._folder = folder
        self._environment = environment
        self._uv: Path | None = None
        self._variables: dict[str, str] | None = None

    def has_uv(self, shell: Shell) -> bool:
        """Get uv, the first time, into a folder of its own, so that no program finds it on its path; return False
        where pip has to do."""
        if self._variables is None:
            self._variables = {}
            try:
                self._uv = self._get_uv(shell)
            except Untranslatable as setting:
                say(
                    f"pip installs the packages, which takes longer: uv has no equivalent of pip's setting {setting}"
                )
            except StepFailed as error:
                say(f"pip installs the packages, which takes longer: uv cannot be installed ({error})")
        return self._uv is not None

    def _get_uv(self, shell: Shell) -> Path | None:
        if os.environ.get("GENOPS_UV") == "0":
            return None
        listed = shell.run(self._python, "-m", "pip", "config", "list", env=self._environment())[1]
        self._variables = translate_for_uv(read_pip_settings(listed))
        program = self._folder / "bin" / "uv"
        if not program.exists() or shell.run(program, "--version", check=False)[0]:
            self._pip(shell, "--upgrade", "--target", str(self._folder), UV)
            shell.run(program, "--version")
        return program

    def install(self, shell: Shell, *arguments: str) -> None:
        """Install what ``arguments`` name, in the words that ``pip install`` and ``uv pip install`` share."""
        if self.has_uv(shell):
            self.uv(shell, "pip", "install", "--python", str(self._python), *arguments)
        else:
            self._pip(shell, *arguments)

    def uv(self, shell: Shell, *arguments: str) -> None:
        """Run uv with pip's settings; a setting that the person made for uv wins."""
        if not self.has_uv(shell) or self._uv is None:
            raise StepFailed("uv is needed for this")
        environment = {**(self._variables or {}), "UV_PYTHON_DOWNLOADS": "never", **self._environment()}
        if "-c" in arguments:  # to uv it takes the place of the variable, to pip it is one more
            more = environment.get("UV_CONSTRAINT", "").split()
            arguments = (*arguments, *(word for path in more for word in ("-c", path)))
        if "--extra-index-url" in arguments:
            environment["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        shell.run(self._uv, *arguments, env=environment)

    def install_project(self, shell: Shell, requirement: str, *arguments: str) -> None:
        """Install the checkout itself, editable, with the extras in ``requirement``; its front end must be built."""
        # Without this the build looks at the files' times and may build the front end a second time.
        self._pip(shell, "--no-build-isolation", *arguments, "-e", requirement, SKIP_JUPYTER_BUILDER="1")

    def _pip(self, shell: Shell, *arguments: str, **variables: str) -> None:
        environment = {**self._environment(), "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables}
        shell.run(self._python, "-m", "pip", "install", "--progress-bar=off", *arguments, env=environment)


def ci_constraints() -> list[str]:
    """CI installs the versions that are known to pass; elsewhere the newest ones are taken."""
    return ["-c", str(ROOT / "constraints.txt")] if os.environ.get("CI") else []
