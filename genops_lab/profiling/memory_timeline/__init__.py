"""Memory over time, as a profile shows it."""
