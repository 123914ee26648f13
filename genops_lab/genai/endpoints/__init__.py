"""Models that answer: where they are, what they cost, and within which limits they are asked."""
