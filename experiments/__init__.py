"""Experiments: published numbers, tables, figures, benchmarks."""
