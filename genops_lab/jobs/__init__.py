"""Jobs run programs to their end in fresh kernels, several at once, and again if a kernel is lost."""
