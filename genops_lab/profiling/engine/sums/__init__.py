"""What a trace adds up to: by device, stream, step, kernel, operator and reason of idleness."""
