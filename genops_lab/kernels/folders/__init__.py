"""The notebook's folder on a target: sent before its kernel starts, brought back when it is asked for."""
