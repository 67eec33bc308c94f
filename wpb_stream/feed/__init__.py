"""The websocket feed and the viewer's files, on one port."""
