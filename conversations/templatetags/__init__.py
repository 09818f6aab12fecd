"""How moments, spans, states and untrusted text are shown in templates."""
