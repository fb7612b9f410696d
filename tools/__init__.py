"""For maintainers of the course; nothing in here is imported by a learner."""
