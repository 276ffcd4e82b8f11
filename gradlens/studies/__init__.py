"""Studies: networks over seeds, during training, and under transition strategies."""
