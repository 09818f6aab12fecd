"""The pages: addresses, views and the rendering of what models and clients sent."""
