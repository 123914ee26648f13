"""Declare the feature: models that answer."""

from __future__ import annotations

from genops_lab.core.features import Feature

FEATURE = Feature(name="endpoints", switch="genai")
