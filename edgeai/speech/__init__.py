"""Hearing and speaking: sound files, speech to text, text to speech, devices, and a conversation of both."""
