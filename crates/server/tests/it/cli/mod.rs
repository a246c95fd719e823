//! The real program, as a process of its own.

mod configuring;
mod doctor;
mod importing;
mod program;
mod replaying;
mod seeding;
mod serving;
mod tokens;
