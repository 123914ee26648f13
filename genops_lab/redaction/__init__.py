"""Find secrets and personal data, and put marks or placeholders in their place.

One engine for all: kernels use it for the source of runs (:mod:`.texts`), for traces and rows of evaluations
(:mod:`.documents`). It imports the standard library alone and runs on Python 3.8 or later, because it travels
to hosts and into kernels. :mod:`.presidio` is used where it is installed.
"""
