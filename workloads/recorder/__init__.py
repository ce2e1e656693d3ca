"""Recording of broadcasts, their replay, thumbnails and clips."""
