"""Find the owners of a device's memory, from snapshots and from memory events of traces."""
