"""The read side of the lake: contracts, file lists, metrics, dashboards, reports. No Flask."""
