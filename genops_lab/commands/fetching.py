"""Fetch the files of a repository at the terminal, before what needs them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, TypeVar

import msgspec

from genops_lab.core.errors import GenOpsError
from genops_lab.core.services import Service
from genops_lab.deployments.fetched import FetchedService
from genops_lab.deployments.models import NOT_FETCHED, CheckDeploy

from .session import Session
from .waiting import followed

S = TypeVar("S", bound=Service)
P = ParamSpec("P")
R = TypeVar("R")


def call_fetched(
    session: Session, method: Callable[Concatenate[S, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs
) -> R:
    """Call an operation. If the files of a repository must be fetched first, fetch them with their progress.

    Raises what the operation raises, and Failed.
    """
    try:
        return session.call(method, *args, **kwargs)
    except GenOpsError as error:
        if error.code != NOT_FETCHED:
            raise
        session.say(error.message)
        fetch(session, msgspec.convert(error.details["fetch"], CheckDeploy))
        return session.call(method, *args, **kwargs)


def fetch(session: Session, asked: CheckDeploy) -> str:
    """Fetch the files of a repository; an interrupt cancels it, and what has arrived stays. Return the result."""
    task = followed(session, session.call(FetchedService.fetch_model, body=asked))
    return task.message
