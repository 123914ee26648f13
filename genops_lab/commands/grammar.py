"""The grammar of ``genops``: its nouns and verbs, its shortcuts and former names, and the order of its help.

A command is a plural noun and a verb. Help is plain text, without Rich: it starts at once, and all commands fit on one
screen.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup


class Word(NamedTuple):
    """The first word of a command: its module, which is imported when the word is used, and its help."""

    module: str
    help: str


#: The first words, in the order of the help, below their headings.
SECTIONS: dict[str, dict[str, Word]] = {
    "Experiments": {
        "runs": Word("runs", "List, compare, restore, tag and export runs of MLflow."),
        "experiments": Word("experiments", "List, add and delete experiments of MLflow."),
        "sweeps": Word("sweeps", "Run a cell or a script as many trials, in fresh kernels."),
        "profiles": Word("profiles", "Show where time and memory went, from profiles or trace files."),
    },
    "Models": {
        "models": Word("models", "Register and delete models, and point aliases at their versions."),
        "evaluations": Word("evaluations", "Evaluate answers, and show how versions were judged."),
        "gates": Word("gates", "Check versions by rules in gates.yaml before promotion."),
        "deployments": Word("deployments", "Serve models on this machine and on hosts."),
        "secrets": Word("secrets", "Keep tokens for deployments by name."),
        "lineage": Word("lineage", "Show what was made from what: data, runs, versions, deployments."),
    },
    "Generative AI": {
        "prompts": Word("prompts", "Save and compare versions of prompts, and point aliases at them."),
        "labels": Word("labels", "Label answers, and see whether raters and judges agree."),
        "traces": Word("traces", "List, show, compare and follow traces of generative models."),
        "endpoints": Word("endpoints", "Add, list and test models that answer."),
    },
    "Compute": {
        "targets": Word("targets", "Add, test and connect machines and clusters that run kernels."),
        "kernels": Word("kernels", "List, attach and stop kernels on targets."),
        "ports": Word("ports", "Open TensorBoard and other programs of kernels in the browser."),
        "folders": Word("folders", "Copy a notebook's folder to a target (push) and back (pull)."),
    },
    "GenOps Lab": {
        "quickstart": Word("lab", "Copy the quickstart notebook into a folder."),
        "status": Word("lab", "Show which GenOps Lab and which MLflow are used."),
        "doctor": Word("lab", "Check GenOps Lab, MLflow and targets, and say what to do."),
        "redaction": Word("redaction", "Show which secrets and personal data would be taken out."),
        "audit": Word("lab", "Show the audit log: who changed or started what."),
        "help": Word("helping", "Show the help of a command, such as: genops help runs list"),
    },
}
WORDS: dict[str, Word] = {word: each for section in SECTIONS.values() for word, each in section.items()}

#: Every verb, in the order of the help: those of all nouns, then those of single ones.
VERBS = (
    *("list", "show", "add", "delete"),
    *("apply", "call"),
    *("run", "register", "set", "alias", "unalias", "revert-alias", "alias-history"),
    "evaluate",
    *("tag", "undelete", "compare", "restore", "export", "add-row", "tail", "session"),
    *("code", "stages"),
    *("open", "close"),
    *("analyze", "report", "diff", "memory", "kernel-metrics", "fetch", "tools"),
    *("test", "connect", "disconnect", "attach", "rollback", "extend-lifetime", "stop", "resume", "logs"),
    *(
        "hold",
        "continue",
        "score",
        "plan",
        "load",
        "load-tests",
        "record",
        "fetched",
        "keys",
        "add-key",
        "revoke-key",
    ),
    *("status", "pull", "push", "discover", "kinds", "add-nsight"),
    *("init", "check", "explain", "promote"),
    *("begin", "failures", "align", "keep"),
    *("sign", "verify", "card", "bom"),
    *("terminal", "hosts", "capacity", "savings", "stop-host"),
    *("role", "request", "presets", "add-preset", "delete-preset"),
    *("build", "install", "free-space", "prune", "optimize", "optimizations", "optimize-db"),
)

#: The headings of nouns with many verbs, in the order of the help. Verbs that no heading has come first.
HEADINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "models": {
        "Register and use": (
            *("list", "show", "register", "set", "delete", "prune", "code", "pull", "push", "free-space"),
        ),
        "Versions and aliases": ("alias", "unalias", "revert-alias", "alias-history", "stages"),
        "Evaluate and promote": ("evaluate", "promote"),
        "Trust and cards": ("sign", "verify", "card", "bom"),
    },
    "targets": {
        "Targets": (
            *("list", "show", "add", "delete", "set", "test", "connect", "disconnect", "discover", "kinds"),
        ),
        "Pods and jobs": (
            *("hosts", "capacity", "savings", "stop-host"),
            *("role", "request", "presets", "add-preset", "delete-preset"),
        ),
        "On the host": ("terminal", "build", "install", "free-space"),
    },
    "profiles": {
        "Profiles": ("list", "show", "delete", "fetch", "tools"),
        "Profiles or trace files": ("analyze", "report", "diff", "memory", "kernel-metrics"),
    },
}

#: Shorter words for a command, which stay.
SHORTCUTS = {
    "apply": "deployments apply",
    "call": "deployments call",
    "check": "deployments check",
    "deploy": "deployments add",
    "diff": "deployments diff",
    "evaluate": "evaluations run",
    "evaluate delete": "evaluations delete",
    "evaluate list": "evaluations list --answers",
    "evaluate plan": "evaluations plan",
    "evaluate resume": "evaluations resume",
    "evaluate score": "evaluations score",
    "evaluate show": "evaluations show",
    "pull": "folders pull",
    "push": "folders push",
    "models add": "models register",
}
#: Names of before. Each works until version FORMER_UNTIL and says its new name.
FORMER = {
    "sweep": "sweeps",
    "profile": "profiles",
    "compute": "targets",
    "compute show": "targets show",
    "compute nsight": "profiles tools",
    "compute nsight-kernel": "kernels add-nsight",
    "targets remove": "targets delete",
    "targets candidates": "targets discover",
    "targets release": "targets stop-host",
    "targets clean": "targets free-space",
    "targets tools": "profiles tools",
    "kernels keep": "kernels extend-lifetime",
    "kernels nsight": "kernels add-nsight",
    "deployments renew": "deployments extend-lifetime",
    "runs analyze": "runs optimize-db",
    "models revert": "models revert-alias",
    "models history": "models alias-history",
    "kernels extend": "kernels extend-lifetime",
    "deployments extend": "deployments extend-lifetime",
    "profiles metrics": "profiles kernel-metrics",
    "targets prune": "targets free-space",
    "profile kernel": "profiles kernel-metrics",
    "profiles kernel": "profiles kernel-metrics",
}
FORMER_UNTIL = "0.3"

#: The end of the help of ``genops``.
END = """\
Shortcuts: deploy = deployments add; evaluate = evaluations run;
check, diff, apply, call; pull, push
Options: --version, --install-completion, --show-completion, -h, --help
Every command takes --help and --json. In a notebook: %genops runs list
Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict or confirmation
needed, 5 no answer, 6 bad trace, 8 answers missing, 10-12 gates, 130 stopped
"""


def renamed(arguments: list[str]) -> tuple[list[str], str]:
    """Return the arguments without shortcuts and former names, and the sentence that names the new name.

    >>> renamed(["sweep", "list"])[0]
    ['sweeps', 'list']
    """
    for count in (2, 1):
        given, rest = " ".join(arguments[:count]), arguments[count:]
        if given in SHORTCUTS:
            return [*SHORTCUTS[given].split(), *rest], ""
        if given in FORMER:
            now = FORMER[given]
            said = (
                f"`genops {given}` is now `genops {now}`. The former name works until version {FORMER_UNTIL}."
            )
            return [*now.split(), *rest], said
    return arguments, ""


def noun() -> typer.Typer:
    """Return the group of commands of a noun; its help is that of its word in SECTIONS."""
    return typer.Typer(cls=Group, no_args_is_help=True)


class Group(TyperGroup):
    """Commands in the order of VERBS, or below the HEADINGS of their noun."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.commands, key=lambda verb: VERBS.index(verb) if verb in VERBS else len(VERBS))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then one line of options, so that all fit on one screen."""
        names = self.list_commands(ctx)
        headings = HEADINGS.get(self.name or "", {})
        below = {verb for verbs in headings.values() for verb in verbs}
        sections = {"Commands": [name for name in names if name not in below], **headings}
        column = max(map(len, names)) + 2
        formatter.write("\n")
        for heading, verbs in sections.items():
            if rows := [verb for verb in verbs if verb in names]:
                formatter.write(f"{heading}\n")
            for verb in rows:
                command: Any = self.get_command(ctx, verb)
                text = command.get_short_help_str(formatter.width - 2 - column)
                formatter.write(f"  {verb:<{column}}{text}\n")
        formatter.write("\nOptions of every command: -h, --help, --json\n")


class Root(Group):
    """``genops`` itself: it imports a word's module when the word is used, and knows shortcuts and former names."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        words: dict[str, Any] = {**dict.fromkeys(WORDS), **self.commands}
        self.commands = words

    def list_commands(self, ctx: Any) -> list[str]:
        return list(WORDS)

    def get_command(self, ctx: Any, name: str) -> Any:
        if name in WORDS and self.commands[name] is None:
            found = getattr(import_module(f".{WORDS[name].module}", __package__), name)
            alone = typer.Typer(rich_markup_mode=None)
            if isinstance(found, typer.Typer):
                alone.add_typer(found, name=name, help=WORDS[name].help)
            else:
                alone.command(name)(found)
            self.commands.update(typer.main.get_group(alone).commands)
        return super().get_command(ctx, name)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        args, said = renamed(args)
        if said and not ctx.resilient_parsing:  # which the shell's completion is
            print(said, file=sys.stderr, flush=True)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write all commands from their words alone, so that no module is imported."""
        formatter.write("\n")
        for heading, words in SECTIONS.items():
            formatter.write(f"{heading}\n")
            for word, (_, text) in words.items():
                formatter.write(f"  {word:<13}{text}\n")

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        formatter.write(f"\n{self.epilog}")
