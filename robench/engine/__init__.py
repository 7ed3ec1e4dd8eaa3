"""Training, calibration, attack and judgement. The only core importer of torch."""
