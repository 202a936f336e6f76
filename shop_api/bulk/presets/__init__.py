"""Mappings that come with the product: one YAML file per kind of export, and no code."""
