"""What a model's files say about the model, read without loading, importing or unpickling anything.

:func:`.reader.read_model` reads a folder. :mod:`.judging` decides by content whether a file can run code. The format
modules (:mod:`.safetensors`, :mod:`.gguf`, :mod:`.onnx`, ...) read headers within the bounds of :mod:`.source`.
"""
