"""One kind of host each: this machine, SSH."""
