//! Several settings, or methods, trained with one budget and evaluated alike, in one table.
//!
//! In reading order: a [`setting`] is a name and what it changes, a [`grid`] is a list of them that
//! varies one thing after another; a [`budget`] says how many steps each takes, at the [`cost`] of
//! its step; a [`plan`] holds them all, with everything decided before the first run; [`compare`]
//! trains and evaluates run after run; its [`report`] is a [`table`], with a [`curve`] of each run.

pub mod budget;
pub mod compare;
pub mod cost;
pub mod curve;
pub mod evaluate;
pub mod grid;
pub mod plan;
pub mod report;
pub mod setting;
pub mod table;
