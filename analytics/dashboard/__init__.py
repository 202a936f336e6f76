"""Answers to a dashboard's questions: figures of a period, with what they are figures of."""
