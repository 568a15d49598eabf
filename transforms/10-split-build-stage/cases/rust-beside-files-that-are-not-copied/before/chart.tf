# elsewhere
