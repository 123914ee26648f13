"""No name changes that notebooks, stores, hosts, running kernels, scripts or configurations of before still hold."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from . import names, readers
from .names import Names


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kernel")


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process lives in an empty home."""
    for variable in ("GENOPS_AGENT_STATE", "GENOPS_DATA_DIR", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    for variable, name in {
        "HOME": "",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "run",
        "GENOPS_RUNTIME_DIR": "s",
    }.items():
        monkeypatch.setenv(variable, str(tmp_path / name))
    return tmp_path


def compare(group: Names, found: set[str]) -> None:
    """Fail with what breaks for whom."""
    gone, new = sorted(group.names - found), sorted(found - group.names)
    assert not gone, f"{group.breaks} Keep the old names beside the new ones. Gone: {gone}; new: {new}"
    assert not new, (
        f"New names: {new}. If one replaces an older name: {group.breaks} If not, add it to tests/guards/names.py; it "
        f"stays from now on."
    )


@pytest.mark.parametrize(
    ("group", "read"),
    [
        pytest.param(names.TAGS, readers.mlflow_tags, id="tags"),
        pytest.param(names.MIME_TYPES, readers.mime_types, id="mime-types"),
        pytest.param(names.PLUGINS_AND_STATES, readers.plugins_and_states, id="plugins-and-states"),
        pytest.param(names.SETTINGS, readers.settings, id="settings"),
        pytest.param(names.SECTIONS, readers.sections, id="sections"),
        pytest.param(names.WIDGETS, readers.widgets, id="widgets"),
        pytest.param(names.COMMAND_IDS, readers.command_ids, id="command-ids"),
        pytest.param(names.KERNEL_PATHS, readers.kernel_paths, id="kernel-paths"),
        pytest.param(names.KERNEL_OPERATIONS, readers.kernel_operations, id="kernel-operations"),
        pytest.param(names.AGENT, readers.agent_protocol, id="agent"),
        pytest.param(names.ENVIRONMENT, readers.environment_variables, id="environment"),
        pytest.param(names.ENTRY_POINTS, readers.entry_points, id="entry-points"),
        pytest.param(names.CONFIGURATION, readers.configuration, id="configuration"),
        pytest.param(names.JSON, readers.json_keys, id="json"),
        pytest.param(names.WORK, readers.work_kinds, id="work"),
        pytest.param(names.DATA_FILES, readers.data_files, id="data-files"),
        pytest.param(names.COMMANDS, readers.commands, id="commands"),
    ],
)
def test_names(group: Names, read: readers.Reader) -> None:
    compare(group, read())


def test_magics_and_the_module_of_a_kernel(folder: Path) -> None:
    kernel = readers.kernel_side(folder)
    compare(names.MAGICS, set(kernel["magics"]))
    compare(names.API, set(kernel["public"]))


def test_the_spool_of_a_run(folder: Path) -> None:
    compare(names.SPOOL, readers.spool_events(folder))


def test_artifacts_of_a_run(folder: Path) -> None:
    compare(names.ARTIFACTS, readers.artifacts(folder))


def test_tables_of_the_store(tmp_path: Path) -> None:
    compare(names.TABLES, readers.columns(tmp_path / "store.db"))


def test_folders_on_a_host(at_home: Path) -> None:
    compare(names.HOST_FOLDERS, readers.host_folders(at_home))


def test_a_kernelspec_of_a_target(at_home: Path) -> None:
    """Jupyter starts what is written there, also where an older Lab wrote it; the front end reads the rest."""
    assert readers.kernelspec("box") == {
        "argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3 (box)",
        "language": "python",
        "interrupt_mode": "signal",
        "metadata": {
            "debugger": True,
            "kernel_provisioner": {
                "provisioner_name": "genops-target-provisioner",
                "config": {"target": "box", "cwd": "~/a"},
            },
            "genops": {"target": "box"},
        },
    }
    assert (at_home / "data" / "kernels" / "genops-box" / "kernel.json").exists()


def test_a_kernel_finds_a_lab_of_another_version(at_home: Path) -> None:
    """Kernels and scripts look for these files, and read these keys."""
    assert readers.described(at_home / "run") == (
        "genops-PID.json",
        {"pid", "socket", "url", "version", "started_at"},
    )


@pytest.mark.parametrize("path", sorted(names.KERNEL_PATHS.names - {"/tracking/files", "/tracking/files/"}))
def test_what_a_kernel_asks_is_offered(path: str) -> None:
    """Of this Lab. (Files go to the Lab from hosts alone.)"""
    offered = {operation.split(" ")[1].partition("{")[0] for operation in readers.operations()}
    path = path.replace("/v1/", "/")  # each is offered under both
    assert path in offered | {each.split(" ")[1].partition("{")[0] for each in names.KERNEL_OPERATIONS.names}


@pytest.mark.parametrize(
    ("module", "functions"),
    [
        # in notebooks, and on hosts
        ("genops_lab", ["load_ipython_extension", "unload_ipython_extension"]),
        ("genops_lab.profiler", ["analyze", "diff", "kernel_metrics", "memory"]),
        # GENOPS_CLI of kernels that run: python -m genops_lab.commands
        ("genops_lab.commands.__main__", []),
        # What a sweep runs in its trials' kernels, which stood ready since before the upgrade.
        ("genops_lab.kernel.trial", ["answer"]),
        # The agent's doorway: python -m genops_lab.kernel.drain
        ("genops_lab.kernel.drain", ["main"]),
    ],
)
def test_modules_that_others_name(module: str, functions: list[str]) -> None:
    if module.endswith("__main__"):
        assert importlib.util.find_spec(module) is not None
        return
    found = importlib.import_module(module)
    assert [name for name in functions if not callable(getattr(found, name, None))] == []


def test_the_signature_of_analyze() -> None:
    """Notebooks call it, and programs beside traces."""
    from genops_lab.profiler import analyze

    parameters = inspect.signature(analyze).parameters.values()
    assert [(each.name, each.kind.name) for each in parameters][:2] == [
        ("paths", "POSITIONAL_OR_KEYWORD"),
        ("usd_per_hour", "KEYWORD_ONLY"),
    ]


def test_widgets_of_running_kernels_and_saved_notebooks_are_known_by_their_id() -> None:
    """``_anywidget_id`` in widget states: the page knows ours by how it begins."""
    assert "genops_lab.kernel." in readers.front_end_strings()
    assert 'f"genops_lab.kernel.{view}"' in readers.python_text()


def test_files_and_keys_below_those_folders() -> None:
    """In the sources' strings, so that one that is renamed everywhere is seen."""
    compare(names.FILES, names.FILES.names & readers.python_strings())


def test_a_changed_name_would_be_seen() -> None:
    with pytest.raises(
        AssertionError, match=r"lose their target.*Gone: \['genops\.target'\]; new: \['genops\.host'\]"
    ):
        compare(names.TAGS, names.TAGS.names - {"genops.target"} | {"genops.host"})
