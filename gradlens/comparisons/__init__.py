"""Tables of several recordings: side by side, and paired over seeds."""
