"""What holds for all tests."""

from hypothesis import settings

# A deadline would measure the machine that the tests share with others, and none of our assertions is about time.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
