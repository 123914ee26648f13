"""The application, which puts all features together: Jupyter extension, services, operations and private socket."""
