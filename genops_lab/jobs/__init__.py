"""Jobs: programs that run to their end in fresh kernels, so many at once, and again where a kernel is lost."""
