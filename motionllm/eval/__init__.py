"""Measuring models: suites, metrics, embedders, reports."""
