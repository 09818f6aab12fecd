"""One conversation, ready to be read: turns, fields, JSON, timeline, thread, differences, copies."""
