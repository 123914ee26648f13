"""The quickstart notebook of the package, and its copies in users' folders."""
