"""A home whose MLflow store is there already, for tests that open Labs in their own process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.homes import Home, temporary_home
from tests.support.mlflow_file import place_store
from tests.support.warm import warm_workers


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with temporary_home() as found, warm_workers():
        place_store(found.data)
        yield found
