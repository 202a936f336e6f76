"""What operators ask: is it alive, is it ready, how does it do."""
