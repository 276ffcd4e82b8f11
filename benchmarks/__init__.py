"""Speed and memory; run by hand, never by the tests."""
