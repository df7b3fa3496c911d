"""Contracts between Paddock's processes: protobuf sources and the code generated from them."""
