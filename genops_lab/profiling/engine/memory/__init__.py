"""Who held a device's memory: from snapshots and from a trace's own events."""
