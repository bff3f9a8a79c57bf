"""Figures of a trained run: what tokens cost, how drawn pictures compare."""
