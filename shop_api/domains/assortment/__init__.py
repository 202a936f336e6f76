"""The assortment in figures: stock and how it sells."""
