"""One command grammar: the ``genops`` program and ``%genops`` in notebooks."""
