"""`likeness demo`: the whole path on this machine, with real processes and real pictures and speech.

sources.py       the pictures and the speech, out of pinned packages
pictures.py      what people do to a picture before they post it
clips.py         podcasts and videos made of those
site.py          a small platform site with all of it, and what must be found on it
local_server.py  serves the site, and notes every request
catchers.py      the mail server and the SMS service that messages are delivered to
expectations.py  who must be found where; compares that with what was found
surroundings.py  a fresh home folder and the environment of the child processes
processes.py     starts `likeness` commands and surely ends them
watching.py      reads in the ledger how far the work is, and what was found
run.py           the demo from start to end: start reading here
report.py        what people see, and the figures that programs read
"""
