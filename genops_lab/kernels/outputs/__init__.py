"""Outputs that outlive a page, a cut and the Lab itself, on their way into the document."""
