"""Video in and out: index, chunk reader, rectangle edit, chunk encoder, assembly, verification."""
