"""From gradients to Grams: products, sketches, per-sample weight gradients, and their sum check."""
