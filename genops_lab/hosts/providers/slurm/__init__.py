"""Jobs of Slurm as hosts."""
