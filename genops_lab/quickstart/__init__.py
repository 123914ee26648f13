"""The quickstart notebook, which the package holds, and its copy in the user's folder."""
