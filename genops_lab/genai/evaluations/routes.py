"""Declare the operations of evaluations of answers."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import KERNELS, LazyService, Operation

if TYPE_CHECKING:
    from .kernel_requests import KernelEvaluations
    from .service import AnswersService as Service
else:
    KernelEvaluations = LazyService(__package__, "kernel_requests", "KernelEvaluations")
    Service = LazyService(__package__, "service", "AnswersService")

OPERATIONS = [
    # It reads files of this machine by their paths, and sends their rows to endpoints.
    Operation("POST", "/answer-evaluations", Service.begin_answers, action="execute"),
    Operation("POST", "/answer-evaluations/plan", Service.plan_answers, action="execute"),
    Operation("GET", "/answer-evaluations", Service.list_answer_evaluations),
    Operation("GET", "/answer-evaluations/{id}", Service.get_answer_evaluation),
    Operation("GET", "/answer-evaluations/{id}/comparison", Service.compare_answer_evaluations),
    Operation("POST", "/answer-evaluations/{id}/resume", Service.resume_answers, action="execute"),
    Operation("POST", "/answer-evaluations/{id}/scores", Service.score_answers, action="execute"),
    Operation("DELETE", "/answer-evaluations/{id}", Service.delete_answer_evaluation),
    Operation(
        "POST", "/kernel-evaluations", KernelEvaluations.ask_to_evaluate, action="execute", admits=KERNELS
    ),
    Operation("GET", "/kernel-evaluations/{id}", KernelEvaluations.get_kernel_evaluation, admits=KERNELS),
    Operation(
        "POST", "/kernel-evaluations/{id}/cancel", KernelEvaluations.cancel_kernel_evaluation, admits=KERNELS
    ),
]

#: The texts of rows and answers.
CONTENT = [
    Operation("GET", "/data-sets", Service.list_data_sets),
    Operation("GET", "/answer-evaluations/{id}/rows", Service.list_answers),
    Operation("GET", "/answer-evaluations/{id}/examples", Service.list_examples),
]
