"""Declare the operations of deployment files."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from genops_lab.deployments.secrets import SecretsService as Secrets

    from .service import DescriptionsService as Service
else:
    Service = LazyService(__package__, "service", "DescriptionsService")
    Secrets = LazyService("genops_lab.deployments", "secrets", "SecretsService")

OPERATIONS = [
    Operation("POST", "/deployment-file-plans", Service.plan_description, action="read"),
    Operation("POST", "/deployment-file-drafts", Service.describe_version, action="read"),
    Operation("POST", "/deployment-files", Service.apply_description, action="execute", named=("name",)),
    Operation("GET", "/deployments/{name}/file", Service.get_description),
    Operation("GET", "/deployment-secrets", Secrets.list_secrets),
    Operation("PUT", "/deployment-secrets/{name}", Secrets.set_secret),
    Operation("DELETE", "/deployment-secrets/{name}", Secrets.delete_secret),
]
