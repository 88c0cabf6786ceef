"""The voice: tell a person once about each incident, by the channels they chose."""
