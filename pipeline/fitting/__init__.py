"""Learning from history: estimates with their errors, held against what came later. Needs the extra ``fit``."""
