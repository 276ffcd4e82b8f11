"""What an autograd graph is, once read: plain values, and what to watch in it. No torch."""
