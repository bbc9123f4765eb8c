"""What commands and the MCP server do, without the command line and without printing."""
