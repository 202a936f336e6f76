"""Questions of a client's own making: metrics by dimensions, and the rows behind a figure."""
