"""Random networks on random data, checked against what fastnn promises.

``python -m tests.fuzz --minutes 60 --seed 1`` runs for an hour; ``--help`` says more.
"""
