"""``genops gates``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from genops_lab.core.errors import Conflict, Failed, InvalidRequest, NotFound
from genops_lab.gates.git_file import commit_of
from genops_lab.gates.messages import markdown
from genops_lab.gates.models import CheckGates, GateReport, Verdict
from genops_lab.gates.own_command import run_command
from genops_lab.gates.plan import Command
from genops_lab.gates.plan_file import MAX_BYTES, read_gates
from genops_lab.gates.service import GatesService
from genops_lab.gates.templates import CI_FILES, example

from .completion import model_names
from .document import Document, Lines, Note
from .grammar import noun
from .session import NOT_WRITTEN, Json, Session, command
from .views.gates import report_view
from .writing import append_whole, write_new

gates = noun()

#: No code of an error, so that CI can tell a red gate from a command that did not work.
EXIT_CODES: dict[Verdict, int] = {"pass": 0, "fail": 10, "not_enough_data": 11, "cannot_be_checked": 12}

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="A registered model.", autocompletion=model_names)
]
Version = Annotated[
    str,
    typer.Option("--version", metavar="VERSION", help="A number or an alias. Default: the newest version."),
]
File = Annotated[Path, typer.Option("--file", metavar="FILE", help="The gate file.", show_default=True)]
Markdown = Annotated[
    Path | None,
    typer.Option("--markdown", metavar="FILE", help="Append the report to this file, such as a job summary."),
]
DEFAULT_FILE = Path("gates.yaml")


@gates.command("init")
def init(
    ci: Annotated[
        Literal["github", "gitlab"] | None,
        typer.Option("--ci", help="Write the jobs of this CI too, which check and promote."),
    ] = None,
    only_print: Annotated[bool, typer.Option("--print", help="Print the files, and write nothing.")] = False,
    json: Json = False,
) -> None:
    """Write an example gate file with all rules, as gates.yaml.

    Delete the rules that you do not need. A file that exists stays as it is.
    """
    with command(json) as session:
        files = {DEFAULT_FILE: example("gates.yaml")}
        if ci is not None:
            name, place = CI_FILES[ci]
            files[Path(place)] = example(name)
        if only_print:
            texts = {str(path): text for path, text in files.items()}
            session.show(texts, Document([Lines(text.splitlines()) for text in texts.values()]))
            return
        if ci is not None and DEFAULT_FILE.exists():
            del files[DEFAULT_FILE]
        for path, text in files.items():
            _make_folder(path.parent)
            try:
                write_new(path, text)
            except Conflict as error:
                error.hint = "Copy what you need: genops gates init --print" + (f" --ci {ci}" if ci else "")
                raise
        lines = [f"{path} was written." for path in files]
        lines.append("Delete the rules that you do not need, then commit the file before you train.")
        session.show({"written": [str(path) for path in files]}, Document([Note(line) for line in lines]))


@gates.command("check")
def check(
    name: Model,
    version: Version = "",
    file: File = DEFAULT_FILE,
    markdown_file: Markdown = None,
    json: Json = False,
) -> None:
    """Check a version against a gate file; move no alias.

    Exit code 0: pass; 10: fail; 11: not enough data; 12: cannot be checked.
    7: the report cannot be written. Others are errors: there is no verdict.
    """
    with command(json) as session:
        body = asked(session, name, version, file)
        with session.waiting(f"the verdict on {named_version(name, version)}"):
            report = session.call(GatesService.check_gates, name=name, version=version or "latest", body=body)
        session.show(report, report_view(report))
        keep_markdown(report, markdown_file)
        raise typer.Exit(EXIT_CODES[report.verdict])


@gates.command("explain")
def explain(name: Model, version: Version = "", json: Json = False) -> None:
    """Show the last verdict on a version in full.

    It has the numbers, the groups and the ids of examples that became worse.
    """
    with command(json) as session:
        with session.waiting(f"the last verdict on {named_version(name, version)}"):
            report = session.call(GatesService.get_gates, name=name, version=version or "latest")
        session.show(report, report_view(report, whole=True))


def named_version(name: str, version: str) -> str:
    """Return a version as text: ``version 2 of 'digits'``."""
    return f"version {version} of {name!r}" if version else f"the newest version of {name!r}"


def asked(session: Session, name: str, version: str, file: Path) -> CheckGates:
    """Read a gate file and run its commands. Raises GateFileError, NotFound."""
    try:
        with file.open("rb") as stream:
            content = stream.read(4 * MAX_BYTES + 1)
        text = content.decode()
    except FileNotFoundError as error:
        raise NotFound(
            f"The gate file {file} does not exist.", hint="Write one: genops gates init"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            f"The gate file {file} cannot be read: {error}.", hint="Give a text file in UTF-8 with --file."
        ) from error
    plan, folder = read_gates(text, str(file)), file.resolve().parent
    commands = []
    for rule in plan.rules:
        if isinstance(rule, Command):
            session.say(f"Running {' '.join(rule.run)}")
            commands.append(run_command(rule, folder, name, version))
    return CheckGates(
        text=text,
        file=str(file),
        folder=str(folder),
        commit=commit_of(folder),
        commands=commands,
    )


def keep_markdown(report: GateReport, file: Path | None) -> None:
    """Append a report to a file. Raises Failed with an exit code of its own: 1 would say that a gate failed."""
    if file is None:
        return
    try:
        append_whole(file, markdown(report))
    except OSError as error:
        raise Failed(
            f"The report cannot be written to {file}: {error.strerror}.",
            code=NOT_WRITTEN,
            hint="Free some disk space, or give another file. The verdict above is kept: genops gates explain",
        ) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failed(
            f"Cannot make the folder {folder}: {error.strerror}.", hint="Run this in a folder of yours."
        ) from error
