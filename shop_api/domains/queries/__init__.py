"""Questions of a client's own making over HTTP: metrics by dimensions, and the rows behind them."""
