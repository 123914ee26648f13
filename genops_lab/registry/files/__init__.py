"""Read facts about a model from its files. Nothing is loaded, imported or unpickled.

:func:`.reader.read_model` reads a folder. :mod:`.judging` decides by content whether a file can run code. The format
modules (:mod:`.safetensors`, :mod:`.gguf`, :mod:`.onnx`, ...) read headers within the bounds of :mod:`.source`.
"""
