"""The command line: every verb of a Deployer, thinly (extra ``cli``)."""
