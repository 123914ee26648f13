"""Declare the operations of prompts."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import ANYONE, LazyService, Operation

if TYPE_CHECKING:
    from .optimizations import PromptOptimizations
    from .service import PromptsService as Service
    from .trials import PromptTrials
else:
    PromptOptimizations = LazyService(__package__, "optimizations", "PromptOptimizations")
    PromptTrials = LazyService(__package__, "trials", "PromptTrials")
    Service = LazyService(__package__, "service", "PromptsService")

OPERATIONS = [
    Operation("GET", "/prompts", Service.list_prompts),
    Operation("DELETE", "/prompts/{name}", Service.delete_prompt),
    Operation("GET", "/prompts/{name}/versions", Service.list_prompt_versions),
    Operation("POST", "/prompts/{name}/versions", Service.save_prompt),
    Operation("GET", "/prompts/{name}/versions/{version}", Service.get_prompt_version, admits=ANYONE),
    Operation("DELETE", "/prompts/{name}/versions/{version}", Service.delete_prompt_version),
    Operation("GET", "/prompts/{name}/difference", Service.compare_prompts),
    Operation("POST", "/prompts/{name}/trials", PromptTrials.start_trial, action="execute"),
    # It reads a file of this machine by its path.
    Operation(
        "POST", "/prompts/{name}/trials/cost", PromptTrials.get_trial_cost, action="execute", audited=False
    ),
    Operation("GET", "/prompt-trials", PromptTrials.list_trials),
    Operation("GET", "/prompt-trials/{trial}", PromptTrials.get_trial),
    Operation("POST", "/prompt-trials/{trial}/resume", PromptTrials.resume_trial, action="execute"),
    Operation(
        "POST", "/prompts/{name}/optimizations", PromptOptimizations.start_optimization, action="execute"
    ),
    Operation(
        "POST",
        "/prompts/{name}/optimizations/cost",
        PromptOptimizations.get_optimization_cost,
        action="execute",
        audited=False,
    ),
    Operation("GET", "/prompt-optimizations", PromptOptimizations.list_optimizations),
    Operation("GET", "/prompt-optimizations/{optimization}", PromptOptimizations.get_optimization),
    Operation(
        "GET", "/prompt-optimizations/{optimization}/difference", PromptOptimizations.compare_optimized
    ),
    Operation("POST", "/prompt-optimizations/{optimization}/save", PromptOptimizations.save_optimized),
    Operation(
        "POST",
        "/prompt-optimizations/{optimization}/resume",
        PromptOptimizations.resume_optimization,
        action="execute",
    ),
    Operation("PUT", "/prompts/{name}/aliases/{alias}", Service.set_prompt_alias),
    Operation("DELETE", "/prompts/{name}/aliases/{alias}", Service.delete_prompt_alias),
]
