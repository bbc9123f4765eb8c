"""Where reservations are kept."""
