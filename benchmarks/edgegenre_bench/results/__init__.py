"""Results, device profiles and budgets: their schema, comparison, tables and pages."""
