"""Is it you? A challenge is drawn, answered by one clip, and the clip is judged."""
