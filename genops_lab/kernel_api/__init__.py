"""The operations that a kernel on another host may call, limited to that kernel."""
