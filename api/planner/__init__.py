"""Reads: a GraphQL selection of declared types becomes one SQL statement whose text is the response's body.

`views` declares types, `plans` compiles selections, `reads` serves them; `checks` compares declarations with
tables. docs/planner.md leads through them.
"""
