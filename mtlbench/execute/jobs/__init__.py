"""What a worker process can be asked to do. Runs only in workers."""
