"""Run the gateway on a host: the ``__main__.py`` of the folder with the code that travelled there."""

import sys

from genops_lab.serving.gateway.__main__ import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
