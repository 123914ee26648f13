"""All versions of all models as columns, with the columns of their runs."""
