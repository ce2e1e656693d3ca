"""Builders of a FlashSale's children: one small pure function each."""
