"""The person: who is enrolled, how to reach them, and how they leave without a trace."""
