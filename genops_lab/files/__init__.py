"""The files of hosts in JupyterLab."""
