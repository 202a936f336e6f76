"""How fresh a shop's figures are, whether its data is held back, and what ran to make them."""
