"""A PostgreSQL database as a store, for teams on several machines."""
