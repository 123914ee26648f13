"""All kinds of scorers, as an evaluation file names them by ``scorer: KIND``."""

from __future__ import annotations

from .judges import ContextPrecision, ContextRecall, Faithfulness, Pairwise, Relevance, Rubric
from .programs import Code, Embeddings, Function, JsonSchema, Mlflow, Regex, Rouge, Sacrebleu
from .retrieval import Retrieval
from .rules import Contains, Exact, Given, Numeric
from .rules_of_calls import Cost, Format, Latency, Length, Refusal, ToolCalls

RuleScorer = (
    Exact | Contains | Numeric | Format | Refusal | Length | Latency | Cost | ToolCalls | Retrieval | Given
)
ProgramScorer = Regex | JsonSchema | Sacrebleu | Rouge | Embeddings | Mlflow | Function | Code
JudgeScorer = Rubric | Pairwise | Faithfulness | ContextPrecision | ContextRecall | Relevance
Scorer = RuleScorer | ProgramScorer | JudgeScorer
