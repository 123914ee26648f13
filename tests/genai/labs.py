"""What the MLflow of a Lab has."""

from __future__ import annotations

from typing import Any

from tests.support.homes import Home


def client_of(home: Home) -> Any:
    """Return MLflow's own client of the home's store."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{home.data / 'mlflow' / 'mlflow.db'}")


def add_data_set(client: Any, name: str, rows: list[tuple[dict[str, Any], str]]) -> None:
    """Make a data set of MLflow from inputs with their expected answers."""
    made = client.create_dataset(name, experiment_id="0")
    records = [{"inputs": inputs, "expectations": {"expected_response": answer}} for inputs, answer in rows]
    client._tracking_client.store.upsert_dataset_records(made.dataset_id, records)
