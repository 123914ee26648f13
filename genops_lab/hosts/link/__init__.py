"""The Lab's end of a connection to a host: carriers, questions, host keys, connections."""
