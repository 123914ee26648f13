"""Names of before of :mod:`genops_lab.runtime`, for whatever outlives an upgrade. New code imports ``runtime``.

``site/`` is on the Python path of kernels that run, and ``api`` is what its ``genops`` imports, of this version or of
another one that the kernel's environment holds. ``trial`` is imported by a sweep's server in kernels that stood ready,
``drain`` is started by keepers on hosts, both possibly of another version. They stay as long as such kernels may be
met. Ids ``genops_lab.kernel.<view>`` in saved notebooks name no module.
"""

from ..runtime import load_ipython_extension, unload_ipython_extension

__all__ = ["load_ipython_extension", "unload_ipython_extension"]
