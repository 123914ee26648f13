"""Run programs that nobody has read, such as the code in an answer."""
