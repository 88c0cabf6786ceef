"""The eyes: bring public media to the one door in. They know nobody who is enrolled."""
