"""The simulated world for real clients: HTTP and ssh servers over the models in `world`."""
