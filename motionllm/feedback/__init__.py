"""Feedback: results are judged; the best of several is given, or an adapter goes on from its own best."""
