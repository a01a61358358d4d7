"""From data sets to training examples."""
