"""Write the batch script of a job."""

from __future__ import annotations

import shlex
from pathlib import Path

from ..base import Resources
from . import batch_script
from .config import SlurmConfig

_PROGRAM = Path(__file__).parents[3] / "agent" / "job_steps.py"
#: Where jobs write what their script prints, on the login node's home.
LOGS = ".local/state/genops-lab/slurm"
#: The folder of a job's own programs, on its node.
FOLDER = "/tmp/genops-lab-$(id -u)-$SLURM_JOB_ID"  # noqa: S108 - made by the job with mode 0700


#: The beginning of the names of all jobs of GenOps Lab.
PREFIX = "genops."


def job_name(target: str, host_id: str) -> str:
    """Return the name of a host's job. Ids have no dot, so the name has exactly one target."""
    return f"{PREFIX}{target}.{host_id}"


def host_id_of(target: str, name: str) -> str:
    """Return the host whose job has this name; empty for a job that is not the target's."""
    prefix = f"{PREFIX}{target}."
    rest = name[len(prefix) :] if name.startswith(prefix) else ""
    return "" if "." in rest else rest


def options(config: SlurmConfig, resources: Resources) -> list[str]:
    """Return the options of sbatch that say what the job gets. Raises InvalidRequest."""
    gpus = config.gpus if resources.gpus is None else resources.gpus
    gpu_type = resources.gpu_type or config.gpu_type
    cpus = config.cpus if resources.cpus is None else max(1, round(resources.cpus))
    memory = config.memory if resources.memory_bytes is None else f"{-(-resources.memory_bytes // 1024**2)}M"
    time = config.time if resources.time_s is None else str(max(1, -(-int(resources.time_s) // 60)))
    gres = ":".join(each for each in ("gpu", gpu_type, str(gpus)) if each) if gpus else ""
    given = {
        "partition": config.partition,
        "account": config.account,
        "qos": config.qos,
        "constraint": config.constraint,
        "reservation": config.reservation,
        "gres": gres,
        "cpus-per-task": str(cpus or ""),
        "mem": memory,
        "time": time,
    }
    return [
        "--nodes=1",
        "--ntasks=1",
        *(f"--{name}={value}" for name, value in given.items() if value),
        *config.more_options(),
    ]


def script(config: SlurmConfig, name: str, resources: Resources) -> str:
    """Return the batch script of the job with this name; reads the target's own script. Raises InvalidRequest."""
    given = [
        f"--job-name={name}",
        *options(config, resources),
        f"--output={LOGS}/%j.log",
        "--open-mode=append",
        "--no-requeue",
    ]
    block = [
        '[ "${SLURM_RESTART_COUNT:-0}" = 0 ] || { echo "Slurm has requeued this job."; exit 1; }',
        *_environment(config),
        "umask 077",
        f'folder="{FOLDER}"',
        '[ -O "$folder" ] && rm -rf "$folder"',
        'mkdir "$folder" || exit 1',
        f'export GENOPS_AGENT_STATE="{_STATE[config.journal]}"',
        "cat >\"$folder/job.py\" <<'END_OF_PROGRAM'",
        _PROGRAM.read_text().rstrip(),
        "END_OF_PROGRAM",
        "cat >\"$folder/run\" <<'END_OF_RUN'",
        *_run(config),
        "END_OF_RUN",
        'exec bash "$folder/run" serve',
    ]
    base = batch_script.read(config.batch_script) if config.batch_script else "#!/bin/bash\n"
    return batch_script.merged(base, given, block)


_STATE = {"node": "$folder/state", "home": f"$HOME/{LOGS}/$SLURM_JOB_ID"}


def _environment(config: SlurmConfig) -> list[str]:
    """Return the lines that load modules and activate an environment. A job is no login shell, so ``module`` and
    ``conda`` may be missing at first."""
    found = []
    if config.modules:
        found.append("command -v module >/dev/null || . /etc/profile")
        found.append(f"module load {shlex.join(config.modules.split())} || exit 1")
    if config.conda:
        found.append(
            f"command -v conda >/dev/null || for at in {_CONDAS}; do"
            ' [ -x "$at/bin/conda" ] && PATH="$PATH:$at/bin" && break; done'
        )
        found += ['eval "$(conda shell.bash hook)"', f"conda activate {config.conda} || exit 1"]
    return found


#: Where conda usually is.
_CONDAS = "~/miniforge3 ~/miniconda3 ~/anaconda3 ~/mambaforge /opt/conda /opt/miniconda3"


def _run(config: SlurmConfig) -> list[str]:
    """Return the script that runs the job's program; the steps run the same one."""
    within = (
        f"$(command -v apptainer || command -v singularity) exec --nv {config.image} " if config.image else ""
    )
    own = config.python if config.python.startswith("~/") else shlex.quote(config.python)
    return [
        'folder=$(dirname "$0")',
        f"for python in {own} python3 /usr/bin/python3 /usr/libexec/platform-python; do",
        f'    {within}"$python" -c "import ctypes" 2>/dev/null && break',
        "done",
        f'exec {within}"$python" "$folder/job.py" "$@"',
    ]


#: What a step runs: it waits for the batch script, which may have just begun.
STEP = (
    f'folder="{FOLDER}"; n=0; while [ ! -S "$folder/s" ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n+1)); done; '
    '[ -S "$folder/s" ] || { echo "The batch script of the job did not start." >&2; exit 1; }; '
    'exec bash "$folder/run" attach "$@"'
)
