"""Findings and warnings as sentences."""
