"""Relatives of the language model and the foundations it stands on, each small enough to be read: word vectors and
word2vec so far.
"""
