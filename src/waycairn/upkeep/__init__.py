"""What is done to a store from outside its runs: finding orphans, verifying, counting, examining, exporting."""
