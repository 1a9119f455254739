//! Shape M, the largest that documents refer to.
