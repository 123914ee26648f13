"""Where targets, their kernels and their questions are found."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from ..kernels.remote_service import RemoteKernelsService as Kernels
    from ..kernels.storage import StorageService as Storage
    from .environments import EnvironmentsService as Environments
    from .questions import QuestionsService as Questions
    from .service import TargetsService as Service
    from .variables import VariablesService as Variables
else:
    Environments = LazyService(__package__, "environments", "EnvironmentsService")
    Questions = LazyService(__package__, "questions", "QuestionsService")
    Kernels = LazyService("genops_lab.kernels", "remote_service", "RemoteKernelsService")
    Service = LazyService(__package__, "service", "TargetsService")
    Storage = LazyService("genops_lab.kernels", "storage", "StorageService")
    Variables = LazyService(__package__, "variables", "VariablesService")

OPERATIONS = [
    Operation("GET", "/targets", Service.list_targets),
    Operation("POST", "/targets", Service.add_target),
    Operation("GET", "/targets/candidates", Service.list_candidates),
    Operation("POST", "/targets/best-fit", Service.best_fit),
    Operation("GET", "/targets/{name}", Service.get_target),
    Operation("PUT", "/targets/{name}", Service.change_target),
    Operation("DELETE", "/targets/{name}", Service.remove_target),
    Operation("POST", "/targets/{name}/test", Service.test_target),
    Operation("GET", "/targets/{name}/report", Service.get_report),
    Operation("POST", "/targets/{name}/connect", Service.connect_target),
    Operation("POST", "/targets/{name}/disconnect", Service.disconnect_target),
    Operation("POST", "/targets/{name}/next-start", Kernels.choose_next_start),
    Operation("GET", "/targets/{name}/kernels", Kernels.list_target_kernels),
    Operation("POST", "/targets/{name}/kernels/{kernel_id}/attach", Kernels.attach_remote_kernel),
    Operation("POST", "/targets/{name}/kernels/{kernel_id}/stop", Kernels.stop_remote_kernel),
    Operation("POST", "/targets/{name}/kernels/{kernel_id}/keep", Kernels.keep_remote_kernel),
    Operation("GET", "/targets/{name}/kernels/{kernel_id}/log", Kernels.get_remote_kernel_log),
    Operation("POST", "/targets/{name}/environment", Environments.build_environment),
    Operation("POST", "/targets/{name}/packages", Environments.install_packages),
    Operation("GET", "/targets/{name}/storage", Storage.list_target_storage),
    Operation("POST", "/targets/{name}/storage/remove", Storage.remove_stored),
    Operation("POST", "/targets/{name}/storage/sweep", Storage.sweep_target),
    Operation("GET", "/environment-sources", Environments.list_environment_sources),
    Operation("GET", "/remote-kernels", Kernels.list_remote_kernels),
    Operation("GET", "/kernel-notices", Kernels.list_kernel_notices),
    Operation("DELETE", "/kernel-notices/{kernel_id}", Kernels.drop_kernel_notice),
    Operation("GET", "/secret-names", Variables.list_secret_names),
    Operation("GET", "/questions", Questions.list_questions),
    Operation("POST", "/questions/{question_id}", Questions.answer_question),
]
