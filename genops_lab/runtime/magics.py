"""Magics of a notebook, registered by ``%load_ext genops_lab``."""

from __future__ import annotations

import importlib
from types import CodeType
from typing import Any, Dict

from .cells import CellIds
from .mlflow_messages import show_models, show_models_as_before
from .scopes import OPEN_MAGIC, REPEAT_MAGIC, Scope, Scopes, evaluate, repeats_transformed, status_of

_ATTRIBUTE = "_genops_magics"


class _ProfileScope(Scope):
    def __init__(self, line: str) -> None:
        from .opening import profile_title
        from .options import cell_options, profile_parser
        from .profiling import capture_of

        options = cell_options(profile_parser(), line)
        self._capture = capture_of(options.title or profile_title(), _wishes(options))
        self._capture.start(own_line=True)

    def begins(self, code: CodeType) -> None:
        if self._capture.markers is not None:
            self._capture.markers.begin_statement(code)

    def ends(self) -> None:
        if self._capture.markers is not None:
            self._capture.markers.end_statement()

    def raises(self, error: BaseException) -> None:
        self._capture.raises(error)

    def close(self, status: str) -> None:
        self._capture.finish()


def _wishes(options: Any) -> Any:
    from .profiling import RecordingOptions

    return RecordingOptions(**{name: getattr(options, name) for name in RecordingOptions._fields})


class _Magics:
    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self.cell_ids = CellIds(shell)
        self._failed: Dict[int, str] = {}
        self.scopes = Scopes(
            shell, {"track": self._open_track, "profile": lambda line, _code: _ProfileScope(line)}
        )

    def _open_track(self, line: str, code: str) -> Scope:
        from .options import cell_options, track_parser
        from .track import TrackScope

        return TrackScope(self._shell, cell_options(track_parser(), line), code)

    def open(self, line: str) -> None:
        """Open the scope of a ``%%track`` or ``%%profile`` line (internal)."""
        self.scopes.open(line)

    def track(self, line: str, cell: Any = None) -> Any:
        """Run a cell, or the statement behind ``%track [options]``, as a tracked MLflow run.

        Example::

            %%track --name baseline --experiment digits
            lr = 0.01
            for step in range(100):
                genops.log({"loss": train(lr)}, step=step)

        Options: ``--name NAME``, ``--experiment EXPERIMENT``, ``--tag NAME=VALUE``, ``--param NAME=VALUE``,
        ``--nested``, ``--no-nested``, ``--resume RUN``, ``--autolog``, ``--log-models``, ``--no-source``,
        ``--no-output``, ``--no-system``, ``--no-auto``.

        Parameters of the run are the names that the cell assigns exactly once, at its top level, from
        constants or arithmetic over such names. Names with a leading underscore are left out. ``genops.log``
        and mlflow's own calls log to the run. The run ends as FINISHED, FAILED (the cell raised) or KILLED
        (interrupted).

        The run keeps the cells that ran, uncommitted changes and the installed packages, without secrets.
        ``--no-source`` keeps none of them. ``%genops runs restore RUN`` makes a notebook of the run.

        ``--repeat 5 [--seeds 1,2,3]`` runs the cell in five fresh kernels, each with its own ``seed``, after
        the session's earlier cells. The output has the mean of each metric with its 95 % interval. ``--on``,
        ``--parallel``, ``--timeout``, ``--hours``, ``--setup`` and ``--wait`` are those of ``%%sweep``.
        ``--here`` repeats in this kernel, unless the cell changes something that it did not make.
        """
        if cell is not None:
            return self._cell("track", line, cell)
        from .options import split_statement, track_parser
        from .track import TrackScope

        options, statement = split_statement(track_parser(), line)
        return self._line(TrackScope(self._shell, options, statement), statement)

    def sweep(self, line: str, cell: str) -> None:
        """Run a cell many times, each in a fresh kernel with other values, as MLflow runs.

        Example::

            %%sweep lr=loguniform(1e-4, 1e-1) layers=1,2,3 --metric loss --trials 20
            genops.log({"loss": train(lr, layers)})

        Options: ``--metric NAME``, ``--maximize``, ``--trials N``, ``--method grid|random|tpe``, ``--seed
        N``, ``--objective last|best``, ``--prune [median|hyperband]``, ``--on KERNEL_OR_TARGET`` (several
        times), ``--parallel N``, ``--timeout SECONDS``, ``--hours HOURS``, ``--setup needed|all|none|1,3-5``,
        ``--name NAME``, ``--experiment NAME``, ``--wait``.

        ``lr=0.1,0.01`` lists values. ``uniform(0, 1)``, ``uniform(0, 1, 0.1)``, ``loguniform(1e-4, 1e-1)``,
        ``int(1, 8)`` and ``logint(1, 1024)`` are ranges. The value replaces the cell's own (``lr = 0.01``),
        or is set before a cell that only reads the name. The earlier cells that the cell needs run first.

        The Lab runs the sweep, so it continues without this notebook: see ``%genops sweeps --help``.
        """
        from .sweeping import sweep

        sweep(self._shell, line, cell, self._failed)

    def prompt(self, line: str, cell: str) -> Any:
        """Save the cell's text as a version of a prompt in MLflow.

        Example::

            %%prompt capital --message "One word only" --alias staging
            system: Answer in one word.
            user: What is the capital of {{country}}?

        Options: ``--message TEXT``, ``--alias ALIAS``.

        Lines that begin with ``system:``, ``user:`` or ``assistant:`` begin a turn, if the first line does. Any
        other text is one message of the user. The same text again makes no other version. Use it by
        ``genops.prompts.load("capital@staging").messages(country="Peru")``.
        """
        from .prompts import prompt_cell

        return prompt_cell(line, cell)

    def evaluate(self, line: str, cell: str) -> Any:
        """Evaluate what models answer: the cell is an evaluation file.

        Example::

            %%evaluate capitals
            prompt: "What is the capital of {{country}}? Answer with its name alone."
            models:
              small: {endpoint: small}
              large: {endpoint: large}
            scorers: [{scorer: exact}]

        ``capitals`` is a data frame or a list of dicts with the columns ``country`` and ``expected``. Without it
        the file's ``data`` names a file. Options: ``--name NAME``, ``--keep-running``, and ``--on TARGET``
        to ask and score on the host of a target.

        The report has each model's mean with its 95 % interval, and the difference to the first model. A stop of
        the cell cancels the evaluation, except with ``--keep-running``. The answers so far are kept:
        ``%genops evaluate resume RESULT``.
        """
        from .evaluating import evaluation_cell

        return evaluation_cell(self._shell, line, cell)

    def repeat(self, line: str, cell: str) -> None:
        """Run ``%%track --repeat`` (internal)."""
        from .sweeping import repeat

        repeat(self._shell, line, cell, self._failed)

    def remember_failed(self, result: Any) -> None:
        """Remember a cell that raised: trials do not run it."""
        if result is None or not result.success:
            typed = self._shell.history_manager.input_hist_raw
            self._failed[len(typed) - 1] = typed[-1]

    def memory_was_out(self, result: Any) -> None:
        """After torch's OutOfMemoryError, print the tensors that use the memory."""
        if getattr(result, "error_in_exec", None) is not None:
            from .memory import after_cell

            after_cell(result)

    def profile(self, line: str, cell: Any = None) -> Any:
        """Record a cell, or the statement behind ``%profile [options]``, with PyTorch's profiler.

        Example::

            %%profile --steps 10 --shapes
            train(model, loader)

        Options: ``--title TITLE``, ``--steps 10``, ``--warmup 2``, ``--seconds 20``, ``--megabytes 200``,
        ``--shapes``, ``--stacks``, ``--memory``, ``--graphs``, ``--no-lines``, ``--usd-per-hour USD``.

        A cell that trains is recorded from the end of its warm-up: a step is one of the optimizer. Another
        cell is recorded from its start. The first bound that is reached ends the recording; the cell
        continues without it.

        The output shows where the time went, by line. The trace is kept with the current (or last) tracked
        run.
        """
        if cell is not None:
            return self._cell("profile", line, cell)
        from .opening import profile_title
        from .options import profile_parser, split_statement
        from .profiling import profiled

        options, statement = split_statement(profile_parser(), line)
        with profiled(options.title or statement or profile_title(), _wishes(options)):
            return evaluate(self._shell, statement)

    def _cell(self, kind: str, line: str, cell: str) -> None:
        # Only run_cell_magic() comes here: the input transformer removes a typed %%track.
        self._shell.run_cell(f"%%{kind} {line}\n{cell}").raise_error()

    def _line(self, scope: Scope, statement: str) -> Any:
        try:
            value = evaluate(self._shell, statement)
        except BaseException as error:
            scope.close(status_of(error))
            raise
        scope.close(status_of(None))
        return value

    def genops(self, line: str) -> Any:
        """Run a command of GenOps Lab: ``%genops runs list``, ``%genops deploy MODEL --wait``, ``%genops
        --help``.

        ``d = %genops ...`` returns the answer as data: a mapping, or a sequence of mappings.
        """
        from .command import run_command

        return run_command(line)


def register(shell: Any) -> None:
    """Add the magics to a shell, once."""
    if getattr(shell, _ATTRIBUTE, None) is not None:
        return
    magics = _Magics(shell)
    shell.register_magic_function(magics.open, "line", OPEN_MAGIC)
    shell.register_magic_function(magics.track, "line_cell", "track")
    shell.register_magic_function(magics.profile, "line_cell", "profile")
    shell.register_magic_function(magics.sweep, "cell", "sweep")
    shell.register_magic_function(magics.repeat, "cell", REPEAT_MAGIC)
    shell.register_magic_function(magics.prompt, "cell", "prompt")
    shell.register_magic_function(magics.evaluate, "cell", "evaluate")
    shell.register_magic_function(magics.genops, "line", "genops")
    shell.set_hook("complete_command", _complete, re_key=r"%genops\b.*")
    shell.input_transformers_cleanup.append(repeats_transformed)
    show_models(shell)
    magics.scopes.register()
    magics.cell_ids.register()
    shell.events.register("post_run_cell", magics.remember_failed)
    shell.events.register("post_run_cell", magics.memory_was_out)
    setattr(shell, _ATTRIBUTE, magics)


def offer_api(shell: Any) -> bool:
    """Put ``genops`` into the session if the name is free. Returns whether the session has it."""
    try:
        found = importlib.import_module("genops")
    except ImportError:  # a kernel that neither has the package nor was started by the Lab
        return False
    return shell.user_ns.setdefault("genops", found) is found


def unregister(shell: Any) -> None:
    """Remove the magics from a shell."""
    magics = getattr(shell, _ATTRIBUTE, None)
    if magics is None:
        return
    shell.input_transformers_cleanup.remove(repeats_transformed)
    show_models_as_before(shell)
    magics.scopes.unregister()
    magics.cell_ids.unregister()
    shell.events.unregister("post_run_cell", magics.remember_failed)
    shell.events.unregister("post_run_cell", magics.memory_was_out)
    delattr(shell, _ATTRIBUTE)
    for kind, names in (
        ("line", (OPEN_MAGIC, "track", "profile", "genops")),
        ("cell", ("track", "profile", "sweep", "prompt", "evaluate", REPEAT_MAGIC)),
    ):
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)


#: The first words of ``%genops`` with the words that may follow, for completion.
COMMANDS = {
    "apply": "",
    "audit": "",
    "call": "",
    "check": "",
    "deploy": "",
    "deployments": (
        "list show add delete apply call check diff init promote rollback hold continue stop extend-lifetime logs "
        "score load load-tests record fetch fetched keys add-key revoke-key"
    ),
    "diff": "",
    "doctor": "",
    "endpoints": "list show add delete test",
    "evaluate": "list show delete plan resume score",
    "evaluations": "list show delete run plan resume score",
    "experiments": "list show add delete undelete",
    "folders": "status pull push",
    "gates": "init check explain",
    "help": "",
    "kernels": "list attach extend-lifetime stop logs add-nsight",
    "labels": "list show add delete resume begin failures align keep",
    "lineage": "show",
    "memory": "record show stop",
    "models": (
        "list show delete register alias unalias revert-alias alias-history evaluate promote pull push code set prune "
        "free-space stages sign verify card bom"
    ),
    "ports": "list open close",
    "profiles": "list show delete analyze report diff memory kernel-metrics fetch tools",
    "prompts": "list show add delete run alias diff resume optimize optimizations",
    "pull": "",
    "push": "",
    "quickstart": "",
    "secrets": "list set delete",
    "redaction": "check show set",
    "runs": "list show delete tag undelete compare restore export optimize-db",
    "status": "",
    "sweeps": "list show delete run stop resume",
    "traces": "list show session compare add-row tail score",
    "targets": (
        "list show add delete set test connect disconnect discover kinds terminal hosts capacity savings "
        "stop-host role request presets add-preset delete-preset build install free-space"
    ),
}


def _complete(_shell: Any, event: Any) -> "list[str]":
    line = str(getattr(event, "line", ""))
    before = line.split()[1:]
    if len(before) + line.endswith(" ") <= 1:
        return list(COMMANDS)
    return COMMANDS.get(before[0], "").split() if len(before) + line.endswith(" ") == 2 else []
