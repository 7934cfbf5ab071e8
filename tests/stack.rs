//! Real stack, to come.
