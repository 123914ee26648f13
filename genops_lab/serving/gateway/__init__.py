"""The gateway: one process a host with a stable address in front of all scoring processes.

It imports the standard library and httptools (the HTTP parser of Node.js) alone, because it also runs on hosts without
GenOps Lab. Start it with ``python -m genops_lab.serving.gateway SPEC.json``.
"""
