"""One package per noun: endpoints, schemas, service, repository, errors, tasks; no other files."""
