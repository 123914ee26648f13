"""Test how many requests a deployment can answer in time: a process that sends them by a schedule.

It imports the standard library and httptools alone. ``python -m genops_lab.serving.load`` reads its plan as JSON from
standard input, so that no command line has the key. It writes a JSON line for each step, then the result.
"""
