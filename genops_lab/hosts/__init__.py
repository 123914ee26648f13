"""Targets that run kernels: this machine, hosts over SSH, pods and Slurm jobs."""
