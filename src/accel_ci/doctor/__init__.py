"""What is wrong with a user's workflows that other tools do not see, and how to mend it. Pure."""
