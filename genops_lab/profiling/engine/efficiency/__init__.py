"""What the work was, beside what the device can do."""
