"""The client of one kernel on a host: its life, its messages, its sockets."""
