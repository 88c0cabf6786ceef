"""The pages on which people enrol, and look after what they gave."""
