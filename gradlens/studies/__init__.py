"""Whole measurements: networks by seeds, along a training, under transition strategies."""
