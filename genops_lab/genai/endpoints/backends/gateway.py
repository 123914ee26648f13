"""List the endpoints of MLflow's AI gateway, in the worker process."""

from __future__ import annotations

from typing import Any

import msgspec

from genops_lab.experiments.backends.client import mlflow_errors


class GatewayEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint of MLflow's AI gateway. ``models`` are those that it passes requests on to, as provider/model."""

    name: str
    models: list[str] = []
    created_at: float = 0.0


class MlflowGateway:
    """Reads the gateway of one MLflow."""

    def __init__(self, tracking_uri: str, **_others: Any) -> None:
        self._uri = tracking_uri

    def list_endpoints(self) -> list[GatewayEndpoint]:
        """Return all endpoints; none for an MLflow without a gateway."""
        from mlflow.tracking._tracking_service.utils import _get_store

        store = _get_store(self._uri)  # type: ignore[no-untyped-call]
        if not hasattr(store, "list_gateway_endpoints"):
            return []
        with mlflow_errors("Cannot list the endpoints of MLflow's AI gateway"):
            found = store.list_gateway_endpoints()
        return [
            GatewayEndpoint(
                name=each.name, created_at=each.created_at / 1000,
                models=[
                    f"{mapping.model_definition.provider}/{mapping.model_definition.model_name}"
                    for mapping in each.model_mappings
                    if mapping.model_definition
                ],
            )
            for each in found
            if each.name
        ]  # fmt: skip
