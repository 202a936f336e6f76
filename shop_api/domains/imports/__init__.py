"""Imports of other shops' exports as jobs, and the jobs themselves."""
