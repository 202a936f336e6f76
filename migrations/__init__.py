"""Schema history: Alembic revisions, one `NNNN_verb_noun.py` each; `HEAD` names the newest."""
