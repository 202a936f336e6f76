"""OpenTelemetry: spans of what the processes do, sent to a collector; loaded by switch.py alone."""
