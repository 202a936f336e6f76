"""Bulk writing: other shops' exports and the demo shop, many rows per transaction.

`mapping` and `fields` are light and may be imported anywhere. The rest loads Polars: worker and
command line only, never the api process.
"""
