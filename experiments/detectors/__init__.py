"""Alarms on extremes: detectors and predicted tail probabilities."""
