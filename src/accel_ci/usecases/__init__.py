"""One module per published action. They share the record of the run, and do not know one another."""
