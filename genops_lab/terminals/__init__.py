"""Terminals on hosts."""
