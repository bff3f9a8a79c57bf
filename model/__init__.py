"""The trainer: token shards in, a transformer out that draws pictures from captions."""
