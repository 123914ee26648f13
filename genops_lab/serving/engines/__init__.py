"""Engines that serve language models, and commands with a port, behind the gateway.

``serve.py`` is the process of one revision: it starts the engine, watches it, and reports to the target. It imports the
standard library alone; the engine is a child of it.
"""
