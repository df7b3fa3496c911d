"""Paddock's services, one package and one process each."""
