"""A tiny vision-language model that the project trained itself, its pictures and its questions."""
