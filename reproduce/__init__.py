"""The claims of the papers, measured again: each folder has its plans, its command and what was found."""
