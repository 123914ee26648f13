"""Labels that people give answers, in MLflow's review queues, and what they say about judges."""
