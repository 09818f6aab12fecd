"""The tests: unit, integration, api, dashboard and acceptance."""
