"""The request pipeline in front of Flask: one stage per file, the order in pipeline.py."""
