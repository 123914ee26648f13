"""Which cell and line a slice belongs to: by markers, Python frames and autograd's numbers."""
