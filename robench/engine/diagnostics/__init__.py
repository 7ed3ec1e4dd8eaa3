"""Measurements that tell whether an attack searched well. What follows from their numbers is said elsewhere.

Source: Carlini et al. (2019), "On evaluating adversarial robustness", section 4; Pintor et al. (2022), "Indicators of
attack failure", section 3.
"""
