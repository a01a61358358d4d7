"""Fine-tuning: the loop, what it refuses before it begins, and what it will cost."""
