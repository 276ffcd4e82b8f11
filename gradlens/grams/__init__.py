"""Grams of gradients: products, sketches, per-sample weight gradients, and the check of sums."""
