"""What the room's tests share."""

from tests.experiments.conftest import warm  # noqa: F401 - a fixture: workers that need not import mlflow first
