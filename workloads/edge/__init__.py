"""Edge: any pod serves any stream, one origin fetch for however many viewers, and the web application beside it."""
