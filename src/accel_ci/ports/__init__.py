"""What a use case needs of the world, as small protocols. Each has a contract suite and a fake of the same name."""
