"""Wire types of the profiler. Durations in microseconds, as traces have them; sizes in bytes."""

from .advice import Advice, Moment
from .difference import Change, Difference, Figure
from .lines import Attribution, LineTime, Place, Unattributed
from .memory import CategoryBytes, DeviceMemory, MemoryPoint, MemorySummary, OutOfMemory, Site
from .profiles import NewProfile, Profile, ProfileSummary
from .roofline import OperatorWork, Peak, Roofline
from .times import (
    CpuTime,
    DeviceTime,
    IdleReason,
    IdleTime,
    KernelTime,
    LaunchTime,
    OperatorTime,
    StepTime,
    StreamTime,
)

__all__ = [
    "Advice",
    "Attribution",
    "CategoryBytes",
    "Change",
    "CpuTime",
    "DeviceMemory",
    "DeviceTime",
    "Difference",
    "Figure",
    "IdleReason",
    "IdleTime",
    "KernelTime",
    "LaunchTime",
    "LineTime",
    "MemoryPoint",
    "MemorySummary",
    "Moment",
    "NewProfile",
    "OperatorTime",
    "OperatorWork",
    "OutOfMemory",
    "Peak",
    "Place",
    "Profile",
    "ProfileSummary",
    "Roofline",
    "Site",
    "StepTime",
    "StreamTime",
    "Unattributed",
]
