"""Read and sum up Nsight Compute's measurements of single launches."""
