"""REST for systems that don't speak GraphQL: the same commands and reads under /v1.

An interface is a list of `operations.Operation` (see `activities`): routing, limits and the OpenAPI document
follow from it.
"""
