"""Where profiles are found."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import Later, Operation

if TYPE_CHECKING:
    from .service import ProfilesService as Service
else:
    Service = Later(__package__, "service", "ProfilesService")

OPERATIONS = [
    Operation("GET", "/profiles", Service.list_profiles),
    Operation("POST", "/profiles", Service.add_profile),
    Operation("GET", "/profiles/{profile_id}", Service.get_profile),
    Operation("GET", "/profiles/{profile_id}/flame", Service.profile_flame),
    Operation("DELETE", "/profiles/{profile_id}", Service.delete_profile),
]
