"""Sentences about the numbers: findings and warnings."""
