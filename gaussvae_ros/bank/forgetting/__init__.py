"""What a memory may hold, and which frames go where it would be more."""
