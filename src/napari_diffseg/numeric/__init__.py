"""Regions and labels: cutting, graphs of regions, nested hierarchies, label numbers (numpy)."""
