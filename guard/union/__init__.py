"""What a hook compares with: how it is laid out, proven and published."""
