"""Autograd graphs as plain values, and the choice of what to watch in them. No torch."""
