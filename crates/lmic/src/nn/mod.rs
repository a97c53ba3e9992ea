#![allow(dead_code, reason = "the transformer that calls it comes next")]

pub(crate) mod math;
