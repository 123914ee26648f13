"""Pictures, histograms and tables that runs kept by step."""
