"""Runs side by side: what differs between them, and how sure that is."""
