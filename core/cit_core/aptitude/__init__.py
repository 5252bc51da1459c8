"""Measure: how outcomes come into a store."""
