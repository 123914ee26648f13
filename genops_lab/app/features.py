"""List all features and their operations.

A new feature needs one line here, and nothing else outside its own package.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..cards.feature import FEATURE as CARDS
from ..core.feature import AUDIT, TASKS
from ..core.features import Feature, Features
from ..core.operations import Operation
from ..deployments.feature import FEATURE as DEPLOYMENTS
from ..doctor.feature import FEATURE as DOCTOR
from ..evaluations.feature import FEATURE as EVALUATIONS
from ..experiments.feature import FEATURE as EXPERIMENTS
from ..files.feature import FEATURE as FILES
from ..gates.feature import FEATURE as GATES
from ..genai.endpoints.feature import FEATURE as ENDPOINTS
from ..genai.evaluations.feature import CONTENT_FEATURE as ANSWER_CONTENT
from ..genai.evaluations.feature import FEATURE as ANSWERS
from ..genai.labels.feature import LABEL_CONTENT, LABELS
from ..genai.online.feature import FEATURE as ONLINE
from ..genai.prompts.feature import FEATURE as PROMPTS
from ..genai.traces.feature import TRACE_CONTENT, TRACES
from ..hosts.feature import FEATURE as HOSTS
from ..kernel_api.feature import FEATURE as KERNEL_API
from ..kernels.feature import FEATURE as KERNELS
from ..kernels.nsight.feature import FEATURE as NSIGHT
from ..lineage.feature import FEATURE as LINEAGE
from ..ports.feature import FEATURE as PORTS
from ..profiling.feature import FEATURE as PROFILING
from ..quickstart.feature import FEATURE as QUICKSTART
from ..registry.feature import FEATURE as REGISTRY
from ..sweeps.feature import FEATURE as SWEEPS
from ..terminals.feature import FEATURE as TERMINALS

#: In the order of the panel. Services are created in the order of their dependencies.
FEATURES: tuple[Feature, ...] = (
    DOCTOR,
    TASKS,
    AUDIT,
    QUICKSTART,
    KERNELS,
    NSIGHT,
    HOSTS,
    PORTS,
    TERMINALS,
    FILES,
    KERNEL_API,
    EXPERIMENTS,
    SWEEPS,
    PROFILING,
    REGISTRY,
    EVALUATIONS,
    GATES,
    DEPLOYMENTS,
    ENDPOINTS,
    LINEAGE,
    CARDS,
    ANSWERS,
    ANSWER_CONTENT,
    PROMPTS,
    TRACES,
    TRACE_CONTENT,
    ONLINE,
    LABELS,
    LABEL_CONTENT,
)

#: Names with which an administrator switches features off (``GenOpsLab.rooms``).
SWITCHES: tuple[str, ...] = tuple(dict.fromkeys(each.switch for each in FEATURES if each.switch))


def features(switches: Iterable[str] = SWITCHES) -> list[Feature]:
    """Return the features that are on with these switches."""
    on = set(switches)
    return [each for each in FEATURES if not each.switch or each.switch in on]


def operations(switches: Iterable[str] = SWITCHES) -> list[Operation]:
    """Return the operations for users of the features that are on."""
    return Features(features(switches)).operations()


OPERATIONS = operations()
