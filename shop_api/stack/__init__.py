"""What runs beside the application: embedded stores and the process supervisor."""
