"""Keep outputs through a page's reload, a cut and a restart of the Lab, until the document has them."""
