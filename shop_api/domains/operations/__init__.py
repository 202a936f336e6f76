"""What operators ask: is it alive, is it ready."""
