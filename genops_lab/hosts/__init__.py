"""Places that can run kernels: this machine and hosts over SSH."""
