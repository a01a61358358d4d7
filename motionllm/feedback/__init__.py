"""Feedback: results are judged; the best of several is kept, or an adapter is trained further on its own best."""
