//! CARP.
