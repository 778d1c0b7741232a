"""What other frameworks call a checkpoint, kept in a store. One module each, imported only by those who use it."""
