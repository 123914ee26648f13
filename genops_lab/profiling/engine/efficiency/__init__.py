"""Compare the work of operators with the peak of the device."""
