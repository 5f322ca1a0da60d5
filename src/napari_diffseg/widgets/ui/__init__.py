"""What every section of the dock is made of: controls, forms, layers, colours, words."""
