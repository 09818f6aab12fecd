"""The gateway: the two POST routes that call the upstream. Asynchronous, without the ORM."""
