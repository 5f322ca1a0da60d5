"""The dock widget, what it asks for, and what it does with results."""
