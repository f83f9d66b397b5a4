"""How good a model is at questions with known answers, in figures that anybody can repeat, with how sure they are."""
