"""Code that several studies share; nothing here is a command."""
