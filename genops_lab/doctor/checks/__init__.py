"""The checks of the doctor: each module checks one part and returns the results."""
