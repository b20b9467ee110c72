"""Turns to facts: by rules, or by a language model; and the attributes that a fact may be about."""
