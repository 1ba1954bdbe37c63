//! The HTTP API: who may do what, what is refused and how, what is streamed, what leaves a trace.

mod browser;
mod caller_card;
mod crews;
mod ended;
mod forms;
mod hostile;
mod listener;
mod marks;
mod matrix;
mod recordings;
mod refusals;
mod sign_in;
mod spoken;
mod streams;
mod why;
