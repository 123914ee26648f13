"""Writes ``constraints.txt``: the versions that ``.venv`` has, which the tests ran with, for each supported Python.

Where a version does not exist for another Python, uv adds the newest that does, with a marker. torch stays a range:
its builds differ from machine to machine.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from python_packages import Installer
from steps import ROOT, Shell

TARGET = ROOT / "constraints.txt"
OLDEST = "3.10"
#: Ours, what every environment brings itself, and what torch's builds choose.
LEFT_OUT = {"genops-lab", "pip", "setuptools", "torch"}
HEAD = """\
# Made by `make constraints`; not edited by hand. CI installs these versions; users' installations do not see them.
"""


def write(shell: Shell, installer: Installer, python: Path) -> None:
    """Write the versions that ``python`` has installed, completed for the other Pythons."""
    listed = shell.run(python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check")[1]
    installed = {each["name"]: each["version"].partition("+")[0] for each in json.loads(listed)}
    pins = {name: version for name, version in installed.items() if _normal(name) not in LEFT_OUT}
    wanted = ROOT / ".cache" / "set-up" / "constraints.in"
    declared = shell.run(python, "-c", _DECLARED, str(ROOT / "pyproject.toml"))[1].splitlines()
    torch = next(line for line in declared if line.startswith("torch"))
    wanted.write_text("\n".join([*(line for line in declared if line != torch), *pins, ""]))
    # uv keeps the versions that the target file has wherever they can be installed.
    new = TARGET.with_suffix(".new")
    new.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
    try:
        installer.uv(
            shell, "pip", "compile", "--universal", "--python-version", OLDEST, "--no-header", "--no-annotate",
            "--quiet", str(wanted), "--output-file", str(new),
        )  # fmt: skip
        lines = [
            line
            for line in new.read_text().splitlines()
            if line[:1].isalnum() and _normal(re.split(r"[^\w.-]", line)[0]) not in LEFT_OUT
        ]
    finally:
        new.unlink()
    TARGET.write_text(HEAD + "\n".join([*lines, torch]) + "\n")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


#: Runs in .venv: the scripts' own Python may have no reader of TOML. Our extras name each other and are left out.
_DECLARED = """
import sys
try:
    import tomllib
except ImportError:
    import tomli as tomllib
project = tomllib.load(open(sys.argv[1], "rb"))["project"]
for group in (project["dependencies"], *project["optional-dependencies"].values()):
    for requirement in group:
        if not requirement.startswith("genops-lab"):
            print(requirement)
"""
