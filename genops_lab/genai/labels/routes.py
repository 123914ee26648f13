"""Declare the operations of labels."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .alignments import JudgeAlignments
    from .service import LabelsService as Service
else:
    JudgeAlignments = LazyService(__package__, "alignments", "JudgeAlignments")
    Service = LazyService(__package__, "service", "LabelsService")

OPERATIONS = [
    Operation("GET", "/label-queues", Service.list_label_queues),
    Operation("POST", "/label-queues", Service.begin_labels, named=("id",)),
    Operation("GET", "/label-queues/{id}", Service.get_label_report),
    Operation("DELETE", "/label-queues/{id}", Service.delete_label_queue),
    Operation("POST", "/label-queues/{id}/disagreements", Service.add_label_disagreements),
    Operation("GET", "/label-queues/{id}/items", Service.list_label_items),
    Operation("PUT", "/label-queues/{id}/items/{trace}", Service.set_label),
    Operation("DELETE", "/label-queues/{id}/items/{trace}", Service.delete_label),
    Operation("GET", "/judge-alignments", JudgeAlignments.list_alignments),
    Operation("GET", "/judge-alignments/{alignment}", JudgeAlignments.get_alignment),
    Operation(
        "POST", "/judge-alignments/{alignment}/resume", JudgeAlignments.resume_alignment, action="execute"
    ),
    Operation("POST", "/judge-alignments/{alignment}/keep", JudgeAlignments.keep_alignment),
]
#: What requests and answers said.
CONTENT = [
    Operation("GET", "/label-queues/{id}/items/{trace}", Service.get_label_content),
    Operation("GET", "/label-queues/{id}/failure-modes", Service.list_failure_modes),
    Operation("POST", "/label-queues/{id}/failure-modes", Service.name_failures),
    Operation("POST", "/label-queues/{id}/failure-groups/plan", Service.plan_failure_groups, action="read"),
    # It sends notes to an endpoint, and may load a model.
    Operation(
        "POST",
        "/label-queues/{id}/failure-groups",
        Service.suggest_failure_groups,
        action="execute",
        interruptible=True,
    ),
    Operation("PUT", "/label-queues/{id}/failure-modes/{mode}", Service.describe_failure_mode),
    Operation("POST", "/label-queues/{id}/failure-modes/{mode}/rows", Service.add_failure_rows),
    Operation("PUT", "/label-queues/{id}/items/{trace}/failure-mode", Service.move_failure),
    # It sends labelled answers to an endpoint.
    Operation("POST", "/judge-alignments", JudgeAlignments.start_alignment, action="execute"),
    Operation("POST", "/judge-alignment-cost", JudgeAlignments.get_alignment_cost, action="read"),
]
