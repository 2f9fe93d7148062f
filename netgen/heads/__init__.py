"""Detection heads: prior boxes, predictors, losses and outputs."""
