"""The tables of operations against the services that answer them."""

from __future__ import annotations

import pytest

from genops_lab.app.features import FEATURES, OPERATIONS
from genops_lab.core.operations import LazyService, Operation
from genops_lab.core.services import Services


@pytest.fixture(scope="module")
def services() -> Services:
    found = Services()
    for feature in FEATURES:
        feature.provide(found)
    return found


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_each_is_a_method_of_a_service_of_the_lab(operation: Operation, services: Services) -> None:
    service = services.kind(operation.service)
    assert operation.function is getattr(service, operation.name)
    assert operation.summary
    assert set(operation.named) <= set(getattr(operation.answer, "__struct_fields__", ()))


def test_a_name_that_stands_for_a_service_is_told_without_an_import() -> None:
    operation = Operation("GET", "/x/{name}", LazyService("no_such_package", "service", "XService").get_x)
    assert (operation.service, operation.name, operation.path_parameters) == ("XService", "get_x", ["name"])
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        _ = operation.function
