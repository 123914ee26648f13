"""The batch script of a Slurm job: the user's own lines in it, and what it loads. No Slurm is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from genops_lab.core.errors import InvalidRequest
from genops_lab.hosts.providers.base import Resources
from genops_lab.hosts.providers.slurm.batch_script import merged
from genops_lab.hosts.providers.slurm.config import SlurmConfig
from genops_lab.hosts.providers.slurm.provider import PROVIDER
from genops_lab.hosts.providers.slurm.script import script

OWN = """#!/bin/bash -l
# of the group
#SBATCH -J mine -o mine.log
#SBATCH --mail-type=END
#SBATCH --time 10

export HF_HOME=/scratch/hf
exec 2>&1
"""


def written(config: SlurmConfig, name: str = "genops.a.k") -> str:
    return script(config, name, Resources())


def test_a_users_script_keeps_its_lines_and_a_printed_one_is_a_base(tmp_path: Path) -> None:
    file = tmp_path / "own.sh"
    file.write_text(OWN.replace("\n", "\r\n"))
    config = SlurmConfig(host="h", time="60", modules="cuda/12", batch_script=str(file))
    first = written(config)
    head = [line for line in first.splitlines() if line.startswith("#SBATCH")]
    assert head[:2] == ["#SBATCH --mail-type=END", "#SBATCH --job-name=genops.a.k"]
    assert "#SBATCH --time=60" in head and "mine" not in first
    assert (
        first.index("#SBATCH --no-requeue") < first.index("export HF_HOME") < first.index("module load cuda")
    )
    file.write_text(first)
    assert written(config) == first
    again = written(SlurmConfig(host="h", cpus=2, batch_script=str(file)), "genops.a.other")
    assert (
        "#SBATCH --time=60" in again and "#SBATCH --cpus-per-task=2" in again and "module load" not in again
    )
    assert again.count("--job-name=") == 1 and "--job-name=genops.a.other" in again
    assert subprocess.run(["bash", "-n"], input=again, text=True).returncode == 0


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("print(1)\n", "#!/bin/bash"),
        ("#!/usr/bin/env python3\n", "#!/bin/bash"),
        ("#!/bin/bash\n#SBATCH -a 1-4\n", "Line 2 .* has --array"),
        ("#!/bin/bash\n#SBATCH -p gpu --chdir=/x\n", "has --chdir"),
        ("#!/bin/bash\nmodule load x\nexec python train.py\n", "Line 3 .*exec python train.py.* ends it"),
        (merged("#!/bin/bash\n", [], ["exec x"]) + "echo done\n", "never comes to 'echo done'"),
    ],
)
def test_a_script_that_cannot_start_a_kernel_is_refused(base: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as caught:
        merged(base, ["--nodes=1"], ["exec x"])
    assert caught.value.hint


def test_a_script_that_is_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"none\.sh cannot be read"):
        written(SlurmConfig(host="h", batch_script=str(tmp_path / "none.sh")))


def test_modules_and_an_environment_of_conda_are_there_for_the_job(tmp_path: Path) -> None:
    # Stand-ins for Lmod and conda: a function of the shell, and a program that no PATH has.
    setup = tmp_path / "setup.sh"
    setup.write_text('module() { [ "$2" != none ] && export LOADED="$*"; }\n')
    conda = tmp_path / "miniforge3" / "bin" / "conda"
    conda.parent.mkdir(parents=True)
    conda.write_text("#!/bin/sh\necho 'conda() { export ENVIRONMENT=\"$2\"; }'\n")
    conda.chmod(0o755)
    found = tmp_path / "python"
    found.write_text('#!/bin/sh\n[ "$1" = -c ] || echo "$LOADED|$ENVIRONMENT"\n')
    found.chmod(0o755)
    config = SlurmConfig(host="h", modules="cuda/12  gcc", conda="torch", python=str(found))
    environment = {"PATH": "/usr/bin:/bin", "BASH_ENV": str(setup), "HOME": str(tmp_path)}
    environment["SLURM_JOB_ID"] = str(os.getpid())
    done = subprocess.run(["bash"], input=written(config), env=environment, text=True, capture_output=True)
    assert (done.stdout, done.returncode) == ("load cuda/12 gcc|torch\n", 0), done.stderr
    lacking = written(SlurmConfig(host="h", modules="none", python=str(found)))
    assert subprocess.run(["bash"], input=lacking, env=environment, text=True).returncode == 1
    subprocess.run(["rm", "-rf", f"/tmp/genops-lab-{os.getuid()}-{os.getpid()}"], check=True)


def test_the_program_of_a_job_runs_in_its_image(tmp_path: Path) -> None:
    # A stand-in for Apptainer: its arguments are what is tested, no image runs.
    (tmp_path / "apptainer").write_text('#!/bin/sh\necho "$*" >>"$TRACE"\nshift 3\nexec "$@"\n')
    (tmp_path / "apptainer").chmod(0o755)
    config = SlurmConfig(host="h", image="/images/torch.sif", python=sys.executable)
    run = written(config).partition("<<'END_OF_RUN'\n")[2].partition("END_OF_RUN")[0]
    (tmp_path / "run").write_text(run)
    (tmp_path / "job.py").write_text("import sys\nprint(sys.argv[1:])")
    trace = tmp_path / "trace"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TRACE": str(trace)}
    done = subprocess.run(
        ["bash", str(tmp_path / "run"), "attach", "x"], env=environment, text=True, capture_output=True
    )
    assert done.stdout == "['attach', 'x']\n", done.stderr
    last = trace.read_text().splitlines()[-1]
    assert last == f"exec --nv /images/torch.sif {sys.executable} {tmp_path}/job.py attach x"


def test_the_required_fields_of_the_form_come_first() -> None:
    names = [each.name for each in PROVIDER.form()]
    assert names[:2] == ["host", "partition"] and names.index("batch_script") < names.index("carrier")
