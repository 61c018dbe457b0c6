"""Benchmarks of fastnn against its NumPy twins and other libraries."""
