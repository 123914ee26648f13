"""Ports of programs on hosts, opened in the browser."""
