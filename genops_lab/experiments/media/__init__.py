"""Pictures, histograms and tables of runs, by step."""
