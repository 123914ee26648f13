"""Versions judged on the same rows: predictions, metrics, and the difference to the champion."""
