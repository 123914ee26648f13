"""Find the cell and line of a slice: by markers, Python frames and autograd's numbers."""
