"""guard for coding agents that speak the Model Context Protocol: the server behind ``guard mcp``."""
