"""How reading grows with the number of plays."""
