"""Statistical tests and intervals as pure functions of numpy arrays. Gates, comparisons and monitors import them.

Importing this package imports neither numpy nor scipy; its modules import scipy on first use.
"""
