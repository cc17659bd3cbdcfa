"""What a comparison looks like: one module per form, each from a `Comparison` to text."""
