"""Bound how much of a log is shown; the reader of its lines is the agent's, too."""

from genops_lab.agent.log_lines import LogFollower, size_of, tail

__all__ = ["MAX_LOG_LINES", "LogFollower", "size_of", "tail"]

MAX_LOG_LINES = 5000
