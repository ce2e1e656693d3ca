"""LiveStream: from the resource to transcoder, room, routes and models."""
