"""Declare the operations of deployments."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation
from genops_lab.core.paging import paged

if TYPE_CHECKING:
    from .asking import AskingService as Asking
    from .batches.service import BatchesService as Batches
    from .chatting import ChattingService as Chatting
    from .engine_settings import EngineSettingsService as EngineSettings
    from .fetched import FetchedService as Fetched
    from .load_tests import LoadTestsService as LoadTests
    from .recording import RecordingService as Recorder
    from .rollout_service import RolloutsService as Rollouts
    from .service import DeploymentsService as Service
else:
    Asking = LazyService(__package__, "asking", "AskingService")
    Batches = LazyService(f"{__package__}.batches", "service", "BatchesService")
    Chatting = LazyService(__package__, "chatting", "ChattingService")
    EngineSettings = LazyService(__package__, "engine_settings", "EngineSettingsService")
    Fetched = LazyService(__package__, "fetched", "FetchedService")
    LoadTests = LazyService(__package__, "load_tests", "LoadTestsService")
    Recorder = LazyService(__package__, "recording", "RecordingService")
    Rollouts = LazyService(__package__, "rollout_service", "RolloutsService")
    Service = LazyService(__package__, "service", "DeploymentsService")

OPERATIONS = [
    paged("/deployments", Service.list_deployments),
    Operation("POST", "/deployments", Service.deploy, action="execute", named=("name", "model", "version")),
    Operation("POST", "/deployment-checks", Service.check_deploy, action="read"),
    Operation("GET", "/deployment-settings", EngineSettings.list_engine_settings),
    Operation(
        "GET",
        "/deployments/{name}",
        Service.get_deployment,
        former=Operation(
            "GET", "/deployments/{name}", Service.get_keyed_deployment, audited=True, socket_only=True
        ),
    ),
    Operation("GET", "/deployments/{name}/key", Service.get_deployment_key, audited=True),
    Operation("DELETE", "/deployments/{name}", Service.delete_deployment),
    Operation("POST", "/deployments/{name}/rollback", Service.roll_back_deployment, action="execute"),
    Operation("GET", "/deployments/{name}/rollout", Rollouts.get_rollout),
    Operation("POST", "/deployments/{name}/rollout/decision", Rollouts.decide_rollout, action="execute"),
    Operation("POST", "/deployments/{name}/rollout/outlook", Rollouts.get_rollout_outlook, action="read"),
    Operation("POST", "/deployment-feedback", Rollouts.add_feedback),
    Operation("GET", "/deployments/{name}/keys", Service.list_caller_keys),
    Operation("POST", "/deployments/{name}/keys", Service.add_caller_key, named=("name",)),
    Operation("DELETE", "/deployments/{name}/keys/{key}", Service.revoke_caller_key),
    Operation("POST", "/deployments/{name}/batches", Batches.score_deployment, action="execute"),
    Operation("POST", "/deployments/{name}/stop", Service.stop_deployment),
    Operation("POST", "/deployments/{name}/renew", Service.renew_deployment),
    Operation("GET", "/deployments/{name}/log", Service.get_deployment_log),
    Operation("GET", "/deployments/{name}/log/follow", Service.follow_deployment_log),
    Operation("GET", "/deployments/{name}/interface", Asking.get_deployment_interface),
    Operation("POST", "/deployments/{name}/try", Asking.try_deployment, action="execute"),
    Operation("POST", "/deployments/{name}/chat", Chatting.chat_deployment, action="execute"),
    Operation("POST", "/deployments/{name}/load-tests", LoadTests.load_deployment, action="execute"),
    Operation("GET", "/deployments/{name}/load-tests", LoadTests.list_load_tests),
    Operation("POST", "/deployments/{name}/recording", Recorder.record_requests, action="execute"),
    Operation("GET", "/deployments/{name}/recording", Recorder.get_recording),
    Operation("DELETE", "/deployments/{name}/recording", Recorder.delete_recording, action="execute"),
    Operation("POST", "/fetched-models", Fetched.fetch_model, action="execute"),
    Operation("GET", "/fetched-models", Fetched.list_fetched_models),
    Operation("DELETE", "/fetched-models", Fetched.delete_unused_models),
]
