"""The database of MCP Agent Mail, read as a store."""
