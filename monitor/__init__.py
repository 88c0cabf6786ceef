"""The watch: media in, findings out. It knows no names, only SubjectId."""
