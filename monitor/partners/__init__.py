"""The door for partners: feeds that push media in, or are pulled from a bucket, and learn nothing back."""
