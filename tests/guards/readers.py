"""What is really written, registered or listened to: the names of :mod:`.names`, read from running code, the database
that the migrations make, and the sources (wherever a module lies)."""

from __future__ import annotations

import ast
import asyncio
import functools
import inspect
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import typing
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from . import names

ROOT = Path(__file__).resolve().parents[2]
Reader = Callable[[], set[str]]
PACKAGE, FRONT_END, SCHEMAS = ROOT / "genops_lab", ROOT / "src", ROOT / "schema"

#: A kernel with the kernel side alone, far from any Lab: its magics, and the spool of a run.
KERNEL = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = {kind: set(names) for kind, names in shell.magics_manager.magics.items()}
shell.run_line_magic("load_ext", "genops_lab")
magics = [f"{kind} {name}" for kind, names in shell.magics_manager.magics.items() for name in set(names) - before[kind]]
import genops
shell.run_cell('''
with genops.run("a", "b", tags={"x": "1"}, params={"p": 1}, system_metrics=False):
    print("hello"); print("oh", file=__import__("sys").stderr)
    genops.log({"loss": 1.0}, step=0)
    genops.tag({"y": 2})
    genops.params({"q": 2})
    genops.log_text("t", "note.txt")
    genops.log_table("answers", [{"a": 1}], step=0)
    genops.log_histogram("weights", [1.0, 2.0], step=0)
    genops.log_image("picture", open("p.png", "rb").read(), step=0)
    genops.log_file("p.png")
''')
print(json.dumps({"magics": magics, "public": genops.__all__}), file=sys.__stdout__)
"""
#: One pixel.
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)


def _texts(folder: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py")))


@functools.cache
def python_text() -> str:
    """The sources of the whole package, wherever a module lies."""
    return _texts(PACKAGE)


@functools.cache
def python_strings() -> frozenset[str]:
    """Every string in double quotes, as the formatter writes them."""
    return frozenset(re.findall(r'"([^"\n]*)"', python_text()))


@functools.cache
def front_end_strings() -> frozenset[str]:
    """Every string of the front end in single quotes, and of templates the part before the first variable."""
    found: set[str] = set()
    for path in [*FRONT_END.rglob("*.ts"), *FRONT_END.rglob("*.tsx")]:
        if "__tests__" not in path.parts:
            text = path.read_text(encoding="utf-8")
            found |= set(re.findall(r"'([^'\n]*)'", text)) | set(re.findall(r"`([^`$\n]*)\$\{", text))
    return frozenset(found)


def matching(pattern: str, strings: Iterable[str]) -> set[str]:
    """The strings that are such names."""
    return {each for each in strings if re.fullmatch(pattern, each)}


def line(place: str, names: Iterable[str]) -> str:
    """``place: name name``, in the order of the alphabet."""
    return " ".join([f"{place}:", *sorted(names)])


# what notebooks, MLflow and browsers hold


def mlflow_tags() -> set[str]:
    """``genops.*`` in the strings of both sides."""
    return matching(
        r"genops\.(?:(?:answers|evaluation|gates|signature)\.)?[a-z_]+",
        python_strings() | front_end_strings(),
    )


def mime_types() -> set[str]:
    return matching(r"application/vnd\.genops\.[a-z.+-]+", python_strings() | front_end_strings())


def plugins_and_states() -> set[str]:
    """Ids of plugins, and keys of the state database and the browser's storages."""
    return matching(r"genops-lab:[a-z-]+", front_end_strings())


def sections() -> set[str]:
    """Sections of the panel, whose being open the state database keeps."""
    texts = (path.read_text(encoding="utf-8") for path in FRONT_END.rglob("plugin.tsx"))
    return {name for text in texts for name in re.findall(r"addSection\(\s*\{\s*id: '([^']+)'", text)}


def widgets() -> set[str]:
    """Ids and namespaces of widgets, which a workspace's layout names, and of file types and their factories."""
    return matching(r"genops-[a-z-]+", front_end_strings())


def command_ids() -> set[str]:
    """``genops:*``, of commands and of icons."""
    return matching(r"genops:[a-z-]+", front_end_strings())


def settings() -> set[str]:
    """Keys, and what is hung into menus and toolbars, by the id of their schema."""
    found = set()
    package = json.loads((ROOT / "package.json").read_text())["name"]
    for path in SCHEMAS.glob("*.json"):
        schema = json.loads(path.read_text())
        id = f"{package}:{path.stem}"
        found |= {id, *(f"{id} {key}" for key in schema["properties"])}
        found |= {f"{id} {key}" for key in _view_keys(schema)}
        for bar, items in schema.get("jupyter.lab.toolbars", {}).items():
            found |= {f"{id} toolbar {bar} {item['name']}" for item in items}
    return found


def _view_keys(schema: dict[str, Any]) -> Iterator[str]:
    for name, definition in schema.get("definitions", {}).items():
        yield from (f"#{name}.{key}" for key in definition["properties"])


# what the kernel side does


@functools.cache
def kernel_side(home: Path) -> dict[str, Any]:
    """What a kernel without a Lab registers and spools."""
    (home / "p.png").write_bytes(PICTURE)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GENOPS_", "JUPYTER"))}
    env.update(
        GENOPS_DATA_DIR=str(home / "data"), GENOPS_RUNTIME_DIR=str(home / "run"), IPYTHONDIR=str(home / "ipython"),
        JUPYTER_RUNTIME_DIR=str(home / "runtime"), PYTHONPATH=str(next(PACKAGE.rglob("site/genops.py")).parent),
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", KERNEL], cwd=home, env=env, capture_output=True, text=True, check=True, timeout=120
    )  # fmt: skip
    (spool,) = home.rglob("*.jsonl")
    header, *events = [json.loads(line) for line in spool.read_text().splitlines()]
    return {
        **json.loads(done.stdout.splitlines()[-1]),
        "spool": spool.relative_to(home / "data").parent.as_posix(),
        "header": header,
        "events": events,
    }


def spool_events(home: Path) -> set[str]:
    """Kinds of events and what each holds, of a run's spool."""
    found = kernel_side(home)
    names = {f"{found['spool']}/RUN.jsonl", *found["header"]}
    names |= {f"process.{key}" for key in found["header"]["process"]}
    for event in found["events"]:
        names |= {f"event {key}" for key in event}
        keys = ["*"] if event["kind"] in ("params", "tags") else event["data"]
        names |= {f"{event['kind']} {key}" for key in keys}
    return names


def artifacts(home: Path) -> set[str]:
    """Paths of artifacts: what a run keeps of its source, what it printed, media by step, profiles."""
    from genops_lab.experiments.media.layout import FOLDERS, stepped_name
    from genops_lab.runtime import artifacts

    named = {
        value
        for value in vars(artifacts).values()
        if isinstance(value, str) and re.fullmatch(r"\w+/[\w.]+", value)
    }
    spooled = {str(event["data"].get("path", "")) for event in kernel_side(home)["events"]}
    assert {path for path in spooled if path.startswith("source/")} <= named
    return {
        *named,
        artifacts.of_session(artifacts.RECORD, f"{artifacts.SESSIONS}TIME"),
        *(path for path in spooled if path.startswith("output/")),
        *(f"{folder}/" for folder in FOLDERS),
        stepped_name("a/b", 3, 1.5, "UUID"),
        *re.findall(r'artifact = f"(\w+/)\{', python_text()),
    }


def kernel_paths() -> set[str]:
    """What the kernel side asks of a Lab, below ``/genops``, up to the first variable."""
    asked = set(re.findall(r'"(/[a-z0-9]+(?:/[a-z-]*)*)["{]', _texts(PACKAGE / "runtime")))
    return {path for path in asked if not path.startswith(("/proc", "/genops", "/api", "/invocations"))}


def kernel_operations() -> set[str]:
    """What a kernel on a host may ask of its Lab."""
    from genops_lab.app.features import FEATURES
    from genops_lab.core.features import Features

    return {f"{each.method} {each.path}" for each in Features(FEATURES).operations("kernel")}


def operations() -> set[str]:
    """All that a Lab offers."""
    from genops_lab.app.features import OPERATIONS

    return {f"{each.method} {each.path}" for each in OPERATIONS}


def environment_variables() -> set[str]:
    return set(re.findall(r"\bGENOPS(?:_[A-Z]+)+\b", python_text()))


# what the Lab and its hosts keep


def entry_points() -> set[str]:
    """Names that other programs find this one by. What they lead to may move."""
    found = {f"{each.group} {each.name}" for each in distribution("genops-lab").entry_points}
    for path in (ROOT / "jupyter-config").rglob("*.json"):
        for application, value in json.loads(path.read_text()).items():
            found |= {f"{application} {kind} {name}" for kind, names in value.items() for name in names}
    import genops_lab

    found |= {f"labextension {each['dest']}" for each in genops_lab._jupyter_labextension_paths()}
    return found


def configuration() -> set[str]:
    """Traits that an operator's configuration and kernelspecs set."""
    import genops_lab

    (point,) = genops_lab._jupyter_server_extension_points()
    classes = [point["app"]]
    classes += [
        each.load() for each in distribution("genops-lab").entry_points if each.name.endswith("provisioner")
    ]
    return {line(each.__name__, each.class_own_traits(config=True)) for each in classes}


def columns(database: Path) -> set[str]:
    """Columns of the two stores' tables, as their migrations make them, in one file."""
    from genops_lab.core.store import LocalStore, SharedStore

    LocalStore(database).close()
    shared = SharedStore(f"sqlite:///{database}")
    shared.open()
    shared.close()
    with closing(sqlite3.connect(database)) as store:
        tables = [
            name
            for (name,) in store.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        ]
        return {
            f"{table}.{row[1]}" for table in tables for row in store.execute(f"PRAGMA table_info({table})")
        }


def work_kinds() -> set[str]:
    """Kinds of durable work, with their steps, as the services register them that do it."""
    from genops_lab.core.settings import Settings
    from genops_lab.core.work import WorkKind
    from genops_lab.deployments.service import DeploymentsService
    from genops_lab.evaluations.service import EvaluationsService
    from genops_lab.genai.evaluations.service import AnswersService
    from genops_lab.genai.labels.alignments import JudgeAlignments
    from genops_lab.genai.prompts.optimizations import PromptOptimizations
    from genops_lab.genai.prompts.trials import PromptTrials
    from genops_lab.hosts.environments import EnvironmentsService
    from genops_lab.profiling.remote_analysis.downloads import Bringing
    from genops_lab.registry.importing import ModelImports
    from genops_lab.sweeps.service import SweepsService

    found: list[WorkKind] = []
    nothing: Any = None
    some: Any = SimpleNamespace(
        name="", capabilities=lambda: None, produce=lambda *_: None, set_version_tag=None
    )
    work: Any = SimpleNamespace(register=found.append)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        DeploymentsService(settings, some, nothing, nothing, some, work, nothing, some)
        SweepsService(settings, nothing, nothing, nothing, nothing, some, work, nothing)
        EvaluationsService(settings, nothing, nothing, nothing, nothing, work)
        AnswersService(settings, nothing, nothing, work)
        PromptTrials(settings, nothing, nothing, work, nothing, nothing, nothing)
        PromptOptimizations(settings, nothing, nothing, nothing, nothing, nothing, work, nothing)
        JudgeAlignments(settings, nothing, nothing, nothing, work, nothing)
    EnvironmentsService(nothing, nothing, nothing, work, nothing)
    Bringing(nothing, nothing, nothing, work)
    ModelImports(nothing, nothing, nothing, work, nothing)
    return {line(kind.name, kind.steps) for kind in found}


def json_keys() -> set[str]:
    """Keys of the JSON in columns of the store and of files, with those below them in braces."""
    from genops_lab.deployments.record import Wanted
    from genops_lab.deployments.targets.folders import DeploymentFile, Handle, ProcessState, RouteFile
    from genops_lab.hosts.models import TargetPolicy
    from genops_lab.hosts.providers.ssh.config import SshConfig
    from genops_lab.kernels.outputs.output_limits import Excerpt
    from genops_lab.profiling.models import ProfileSummary
    from genops_lab.sweeps.ledger import Code, Plan
    from genops_lab.sweeps.models import MetricSummary, Trial

    held = {
        "targets.options": SshConfig, "targets.policy": TargetPolicy, "sweeps.plan": Plan,
        "sweeps.summary": MetricSummary, "sweep_trials.trial": Trial, "profiles.summary": ProfileSummary,
        "sweeps/ID.json": Code, "deployments.spec": Wanted, "deployments/NAME/process.json": Handle,
        "deployments/NAME/state.json": ProcessState, "deployments/NAME/route.json": RouteFile,
        "deployments/NAME/deployment.json": DeploymentFile, "display of cut outputs": Excerpt,
    }  # fmt: skip
    return {line(place, _keys(struct)) for place, struct in held.items()}


def _keys(kind: Any) -> Iterator[str]:
    """The keys of a struct; each with what is below it."""
    hints = typing.get_type_hints(kind)
    for field in sorted(msgspec.structs.fields(kind), key=lambda each: each.encode_name):
        below = " ".join(key for struct in _structs(hints[field.name]) for key in _keys(struct))
        yield f"{field.encode_name}{{{below}}}" if below else field.encode_name


def _structs(kind: Any) -> Iterator[Any]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for argument in typing.get_args(kind):
        yield from _structs(argument)


def data_files() -> set[str]:
    """What lies directly in the data folder, by what is joined to it; a constant by its name."""
    joined = re.findall(r"(?<!jupyter_)data_dir(?:\(\))? / (?:f?[\"']([^\"'{]+)|([A-Z_]+))", python_text())
    constants = dict(re.findall(r'^([A-Z_]+) = "([^"]+)"$', python_text(), re.MULTILINE))
    inside = re.findall(r'private_dir\("([^"]+)"', python_text())
    return {name or constants[constant] for name, constant in joined} | set(inside)


def described(runtime: Path) -> tuple[str, set[str]]:
    """The pattern of the file by which programs find a running Lab, and its keys."""
    from genops_lab.app.socket_server import SocketServer
    from genops_lab.core.api import ServiceGate

    def read() -> tuple[str, set[str]]:
        (path,) = runtime.iterdir()
        return path.name.replace(str(os.getpid()), "PID"), set(json.loads(path.read_text()))

    async def look() -> tuple[str, set[str]]:
        doorway = SocketServer([], ServiceGate())
        doorway.open("http://127.0.0.1:8888/", "1.0")
        try:
            return await asyncio.to_thread(read)
        finally:
            doorway.close()

    return asyncio.run(look())


def host_folders(home: Path) -> set[str]:
    """Folders on a host, below its home: of kernels, their runs, environments."""
    from genops_lab.agent import environments, lab_proxy, paths

    state, _ = paths.state_folder()
    units = [paths.new_unit_folder("KERNEL"), paths.new_unit_folder("COMMAND", "command")]
    found = [state, *units, lab_proxy.lab_folder("KERNEL"), environments.root()]
    return {str(Path(path).relative_to(home)) for path in found}


def kernelspec(target: str) -> dict[str, Any]:
    """``kernel.json`` of a target, as it is installed."""
    from genops_lab.kernels.kernelspecs import install_kernelspec

    found: dict[str, Any] = json.loads((install_kernelspec(target, cwd="~/a") / "kernel.json").read_text())
    return found


def commands() -> set[str]:
    """The commands of ``genops`` with their arguments and options; those of names.COMMANDS under former names too."""
    from genops_lab.commands.grammar import renamed
    from genops_lab.commands.main import grammar

    found = set(_commands(grammar(), ""))
    for name in (each.partition(":")[0].removeprefix("genops ") for each in names.COMMANDS.names):
        words, _said = renamed(name.split())
        if words != name.split():
            command = grammar()
            for word in words:
                command = command and command.get_command(None, word)
            found |= {_command(command, f" {name}")} if command else set()
    return found


def _commands(command: Any, name: str) -> Iterator[str]:
    yield _command(command, name)
    for below in command.list_commands(None) if hasattr(command, "list_commands") else ():
        yield from _commands(command.get_command(None, below), f"{name} {below}")


def _command(command: Any, name: str) -> str:
    options = (option for each in command.params for option in [*each.opts, *each.secondary_opts])
    return line(f"genops{name}", options)


def agent_protocol() -> set[str]:
    """What a Lab may ask of an agent of another version, and numbers of what they send."""
    from genops_lab.agent import frames, records
    from genops_lab.agent.attach import Attachment

    attachment = Attachment(None, None)
    found = {f"service {name}" for name in attachment.services} | {
        f"call {name}" for name in attachment._calls
    }
    for module in (frames, records):
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
                names = [ast.unparse(each) for each in node.targets[0].elts]
                found |= {f"{name} {getattr(module, name)}" for name in names}
    return found | {f"header {module.HEADER.format}" for module in (frames, records)}
