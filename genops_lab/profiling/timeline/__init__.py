"""The timeline of a profile: its columns, kept in its folder, as tiles and answers about slices."""
