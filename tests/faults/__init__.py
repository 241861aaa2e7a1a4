"""The kill test: nothing lost, nothing sent twice, nothing without consent, whatever is killed.

`stories` what customers do · `generator` tells it to the platform · `sink` takes the mails · `killer` kills ·
`platform` is the platform under test · `oracle` judges from the journals alone · `mutants` broken copies that it
must find out · `campaign` puts them together · `report` shows what was found.
"""
