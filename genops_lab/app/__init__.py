"""What knows all features: the Jupyter extension, the services, the operations, the private socket."""
