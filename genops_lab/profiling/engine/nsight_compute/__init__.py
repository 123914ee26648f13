"""What Nsight Compute measured of single launches: which figures, and what they say together."""
