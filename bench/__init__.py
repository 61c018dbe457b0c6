"""Benchmarks of fastnn against its NumPy twins and against other libraries."""
