"""``genops_lab.runtime.drain`` by its name of before, also as a program: see the package."""

import sys

from ..runtime.drain import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
