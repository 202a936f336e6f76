"""What must hold of rows before they are written. A check that fails stops the run, loudly."""
