"""Turn wire types into documents, which commands show."""
