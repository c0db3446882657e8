"""What a Temporal of one's own needs for Lunas: `register` makes it ready, `dynamic-config.yaml` is the server's."""
