"""Measure models and import outcomes into a store."""
