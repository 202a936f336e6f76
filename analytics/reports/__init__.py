"""Reports: figures of a day rendered as files, figures by row. Knows no Flask and no schedule."""
