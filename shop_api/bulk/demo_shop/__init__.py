"""The demo shop: a seeded, believable shop of eighteen months, written through the bulk path.

`seeding` writes it; `assortment`, `people`, `terms` and `history` invent it, `visits` who looks at
it. The same seed and the same `now` give the same shop.
"""
