"""An evaluation that distrusts itself: from the plain attack to whatever the defence calls for, and what is left to believe.

probes    what the model does when it is asked twice, alone, with other draws; whether its gradient tells the truth
views     the ways in which an adversary may look at it
steps     which attacks on which views these findings call for, the cheap ones first
variants  what is made of an image that was found without following a gradient
climb     the steps on one batch, each on what the ones before left standing
verdict   flags, the staircase, and whether the robust accuracy is established (no torch)
"""
