"""Sum a trace by device, stream, step, kernel, operator and reason of idle time."""
