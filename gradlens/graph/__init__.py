"""Autograd graphs as plain values, and what to watch in them. No torch."""
