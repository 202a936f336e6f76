"""The platform's own commands: serve, migrate, doctor; one file each."""
