"""The configuration of a partition of Slurm."""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Literal

import msgspec

from genops_lab.core.errors import InvalidRequest

from ...configuration import option
from ..ssh.config import SshConfig

_WORD = r"[A-Za-z0-9_.:@+-]+"
_SIZE = r"[1-9]\d*[KMGT]?"
_TIME = r"(\d+-)?\d+(:\d{1,2}){0,2}"
_LINES = re.compile(r"--[a-z][a-z-]*(=\S+)?\Z")
#: Options that the target itself sets.
_OWN = {
    "job-name",
    "output",
    "error",
    "open-mode",
    "requeue",
    "no-requeue",
    "parsable",
    "wrap",
    "array",
    "chdir",
}


class SlurmConfig(SshConfig, frozen=True, kw_only=True):
    """A login node with ``sbatch``, and what each job requests. Empty fields leave the cluster's default.

    The SSH fields reach the login node. ``python`` is the interpreter in the job.
    """

    partition: Annotated[
        str,
        option(
            "Partition",
            "Where jobs wait. Empty: the cluster's default.",
            pattern=_WORD + "(,[A-Za-z0-9_.:@+-]+)*",
            noun="a partition",
            hint="On the login node, sinfo -s lists partitions.",
        ),
    ] = ""
    gpus: Annotated[
        int,
        option("GPUs", "GPUs of each job. 0: none.", minimum=0, maximum=1024, noun="a number of GPUs"),
    ] = 0
    gpu_type: Annotated[
        str,
        option(
            "GPU type",
            "As the cluster names it, such as h100.",
            pattern=_WORD,
            noun="a type of GPU",
            hint="On the login node, sinfo -o '%P %G' lists types.",
        ),
    ] = ""
    cpus: Annotated[
        int, option("CPU cores", "Cores of each job. 0: the default.", minimum=0, maximum=4096)
    ] = 0
    memory: Annotated[
        str,
        option(
            "Memory",
            "Memory of each job, such as 64G.",
            pattern=_SIZE,
            noun="a size",
            hint="Give a number with K, M, G or T, such as 64G.",
        ),
    ] = ""
    time: Annotated[
        str,
        option(
            "Time limit",
            "When Slurm ends the job: minutes, HH:MM:SS or D-HH:MM:SS.",
            pattern=_TIME,
            noun="a time limit",
            hint="Give minutes, HH:MM:SS or D-HH:MM:SS.",
        ),
    ] = ""
    account: Annotated[
        str,
        option(
            "Account",
            "The account that pays.",
            pattern=_WORD,
            noun="an account",
            hint="On the login node, sacctmgr show associations user=$USER lists accounts.",
        ),
    ] = ""
    qos: Annotated[
        str, option("QOS", "The quality of service.", advanced=True, pattern=_WORD, noun="a QOS")
    ] = ""
    constraint: Annotated[
        str,
        option(
            "Constraint",
            "Features of nodes, such as a100&nvlink.",
            advanced=True,
            pattern=r"[\w.&|()*\[\]:,-]+",
        ),
    ] = ""
    reservation: Annotated[
        str, option("Reservation", "The name of a reservation.", advanced=True, pattern=_WORD)
    ] = ""
    modules: Annotated[
        str,
        option(
            "Modules",
            "Modules that the job loads, separated by spaces.",
            advanced=True,
            pattern=r"[\w./+ -]+",
            noun="a list of modules",
        ),
    ] = ""
    conda: Annotated[
        str,
        option(
            "Conda environment",
            "The name or path of an environment that the job activates.",
            advanced=True,
            pattern=r"[\w./~+-]+",
            noun="a conda environment",
        ),
    ] = ""
    image: Annotated[
        str,
        option(
            "Apptainer image",
            "The image that the job's programs run in: a path or an address.",
            advanced=True,
            pattern=r"[\w./~:@+-]+",
            noun="an image",
        ),
    ] = ""
    sbatch: Annotated[
        str,
        option(
            "More options of sbatch",
            "Separated by spaces, such as: --exclusive --nodelist=n1",
            advanced=True,
            hint="Write each as --NAME or --NAME=VALUE, separated by spaces.",
        ),
    ] = ""
    batch_script: Annotated[
        str,
        option(
            "Batch script",
            "A script of sbatch on this machine that each job begins with. The fields here take precedence.",
            advanced=True,
        ),
    ] = ""
    journal: Annotated[
        Literal["node", "home"],
        option(
            "Place of outputs",
            "Where outputs wait until the Lab has them.",
            advanced=True,
            choice_labels={"node": "A disk of the node", "home": "Your home folder"},
        ),
    ] = "node"
    login_python: Annotated[
        str,
        option(
            "Python on the login node",
            "A Python 3.8 or later that runs Slurm's commands for the Lab.",
            advanced=True,
            pattern=r"[^\x00-\x1f\x7f]+",
            noun="an interpreter",
            hint="Give a name such as python3, or a path.",
        ),
    ] = "python3"
    poll_s: Annotated[
        float,
        option(
            "Seconds between looks",
            "The fewest seconds between two looks at the queue.",
            advanced=True,
            minimum=0.5,
            maximum=600,
        ),
    ] = 0.5

    def ssh(self) -> SshConfig:
        """Return the configuration of the login node's connection."""
        given = {field.name: getattr(self, field.name) for field in msgspec.structs.fields(SshConfig)}
        return SshConfig(**{**given, "python": self.login_python})

    def more_options(self) -> list[str]:
        """Return the words of ``sbatch``. Raises InvalidRequest."""
        try:
            words = shlex.split(self.sbatch)
        except ValueError as error:
            raise InvalidRequest(
                f"{self.sbatch!r} cannot be read as options of sbatch: {error}.", hint="Check its quotes."
            ) from error
        for word in words:
            if not _LINES.match(word):
                raise InvalidRequest(
                    f"{word!r} is not an option of sbatch.", hint="Write each as --NAME or --NAME=VALUE."
                )
            if word[2:].partition("=")[0] in _OWN:
                raise InvalidRequest(
                    f"GenOps Lab sets {word.partition('=')[0]} itself.", hint="Leave this option out."
                )
        return words
