"""The tables of operations against the services that answer them."""

from __future__ import annotations

import pytest

from genops_lab import lab
from genops_lab.core.operations import Later, Operation
from genops_lab.rooms import OPERATIONS


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_each_is_a_method_of_a_service_of_the_lab(operation: Operation) -> None:
    service = getattr(lab, operation.room)
    assert operation.function is getattr(service, operation.name)
    assert operation.summary


def test_a_name_that_stands_for_a_service_is_told_without_an_import() -> None:
    operation = Operation("GET", "/x/{name}", Later("no_such_package", "service", "XService").get_x)
    assert (operation.room, operation.name, operation.path_parameters) == ("XService", "get_x", ["name"])
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        _ = operation.function
