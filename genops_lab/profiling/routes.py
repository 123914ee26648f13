"""The operations of profiles and their paths."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import ANYONE, KERNELS, LazyService, Operation
from genops_lab.core.paging import paged

if TYPE_CHECKING:
    from .memory_timeline.service import MemoryService as Memory
    from .perfetto.service import PerfettoService as Perfetto
    from .remote_analysis.service import RemoteAnalysisService as Beside
    from .service import ProfilesService as Service
    from .timeline.service import TimelineService as Timelines
else:
    Beside = LazyService(__package__, "remote_analysis.service", "RemoteAnalysisService")
    Memory = LazyService(__package__, "memory_timeline.service", "MemoryService")
    Perfetto = LazyService(__package__, "perfetto.service", "PerfettoService")
    Service = LazyService(__package__, "service", "ProfilesService")
    Timelines = LazyService(__package__, "timeline.service", "TimelineService")

OPERATIONS = [
    paged("/profiles", Service.list_profiles),
    Operation("POST", "/profiles", Service.add_profile, named=("id",), admits=ANYONE),
    Operation("POST", "/profiles/beside", Beside.add_profile_beside, named=("id",), admits=KERNELS),
    Operation("POST", "/profiles/expected", Service.expect_profile),
    Operation("POST", "/profiles/open", Service.open_profile, named=("id",)),
    Operation("POST", "/profiles/open-on-target", Beside.open_on_target, named=("id",)),
    Operation("GET", "/profiles/difference", Service.difference),
    Operation("GET", "/profiles/perfetto", Perfetto.get_perfetto),
    Operation("POST", "/profiles/{profile_id}/perfetto", Perfetto.cut_trace, action="read"),
    Operation("GET", "/profiles/{profile_id}", Service.get_profile, admits=ANYONE),
    Operation("GET", "/profiles/{profile_id}/flame", Service.profile_flame),
    Operation("GET", "/profiles/{profile_id}/kernels/{number}", Service.kernel_metrics),
    Operation("POST", "/profiles/{profile_id}/trace", Beside.fetch_trace),
    Operation("DELETE", "/profiles/{profile_id}", Beside.delete_profile),
    Operation("GET", "/profiles/{profile_id}/memory", Memory.get_memory),
    Operation("GET", "/profiles/{profile_id}/memory/{device}", Memory.get_memory_stretch),
    Operation("GET", "/profiles/{profile_id}/memory/{device}/moment", Memory.get_memory_moment),
    Operation("GET", "/profiles/{profile_id}/timeline", Timelines.get_timeline),
    Operation("POST", "/profiles/{profile_id}/timeline/tiles", Timelines.get_timeline_tiles, action="read"),
    Operation("POST", "/profiles/{profile_id}/timeline/search", Timelines.search_timeline, action="read"),
    Operation("POST", "/profiles/{profile_id}/timeline/sums", Timelines.sum_timeline, action="read"),
    Operation("GET", "/profiles/{profile_id}/timeline/slices/{slice_number}", Timelines.get_timeline_slice),
]
