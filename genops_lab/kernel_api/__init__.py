"""What a kernel on another host may call: a few operations, bound to that kernel."""
