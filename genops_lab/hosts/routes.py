"""The operations of targets and their questions."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .environments import EnvironmentsService as Environments
    from .presets import PresetsService as Presets
    from .questions import QuestionsService as Questions
    from .service import TargetsService as Service
    from .target_tests import TargetTestsService as Tests
    from .templates import TemplatesService as Templates
    from .variables import VariablesService as Variables
else:
    Environments = LazyService(__package__, "environments", "EnvironmentsService")
    Presets = LazyService(__package__, "presets", "PresetsService")
    Questions = LazyService(__package__, "questions", "QuestionsService")
    Service = LazyService(__package__, "service", "TargetsService")
    Tests = LazyService(__package__, "target_tests", "TargetTestsService")
    Templates = LazyService(__package__, "templates", "TemplatesService")
    Variables = LazyService(__package__, "variables", "VariablesService")

OPERATIONS = [
    Operation("GET", "/targets", Service.list_targets),
    Operation("POST", "/targets", Service.add_target, named=("name",)),
    Operation("GET", "/savings", Service.list_savings),
    Operation("GET", "/target-kinds", Service.list_target_kinds),
    Operation("GET", "/targets/candidates", Service.list_candidates),
    Operation("POST", "/targets/best-fit", Service.best_fit, action="read"),
    Operation("GET", "/targets/{name}", Service.get_target),
    Operation("PUT", "/targets/{name}", Service.change_target),
    Operation("DELETE", "/targets/{name}", Service.remove_target),
    Operation("POST", "/targets/{name}/test", Tests.test_target, action="execute"),
    Operation("GET", "/targets/{name}/report", Tests.get_report),
    Operation("POST", "/targets/{name}/connect", Service.connect_target),
    Operation("POST", "/targets/{name}/disconnect", Service.disconnect_target),
    Operation("POST", "/targets/{name}/capacity", Service.look_at_capacity, action="read"),
    Operation("GET", "/targets/{name}/hosts", Service.list_target_hosts),
    Operation("DELETE", "/targets/{name}/hosts/{host_id}", Service.release_host),
    Operation("GET", "/targets/{name}/resources", Presets.get_resource_form),
    Operation("GET", "/targets/{name}/request", Presets.get_request),
    Operation("PUT", "/targets/{name}/request", Templates.keep_request),
    Operation("POST", "/targets/{name}/presets", Presets.add_preset),
    Operation("DELETE", "/targets/{name}/presets/{preset}", Presets.delete_preset),
    Operation("POST", "/targets/{name}/environment", Environments.build_environment, action="execute"),
    Operation("POST", "/targets/{name}/packages", Environments.install_packages, action="execute"),
    Operation("GET", "/environment-sources", Environments.list_environment_sources),
    Operation("GET", "/secret-names", Variables.list_secret_names),
    Operation("GET", "/questions", Questions.list_questions),
    Operation("POST", "/questions/{question_id}", Questions.answer_question),
]
