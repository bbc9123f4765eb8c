"""What ``python -m tests.benchmark`` measures, and with what."""
