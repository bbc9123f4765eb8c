"""What several test files build with: repositories, holders, models, faults."""
