"""Stages: manifests in -> manifest out; the one floor that reads files and calls tools."""
