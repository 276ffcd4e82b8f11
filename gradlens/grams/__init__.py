"""From gradients to Grams: products, sketches, per-sample weight gradients, and the check of sums."""
