//! One binary for every test that needs more than its own module.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    unreachable_pub,
    reason = "a test may fail loudly, read the clock and tell a story in one piece"
)]

mod api;
mod audio_disk;
mod audio_kill;
mod audio_plane;
mod audio_recording;
mod call_record;
mod check;
mod config;
mod config_forms;
mod config_groups;
mod config_menus;
mod config_phones;
mod config_relief;
mod config_self_test;
mod deliver;
mod demo;
mod demo_page;
mod demo_phone;
mod enrich;
mod modules;
mod one_call;
mod peers_bridge;
mod peers_codes;
mod peers_counters;
mod peers_crew;
mod peers_desk;
mod peers_dial;
mod peers_edge;
mod peers_group;
mod peers_handling;
mod peers_join;
mod peers_listen_queue;
mod peers_menu;
mod peers_queue;
mod peers_relief;
mod peers_screen;
mod peers_screens;
mod peers_self_test;
mod peers_sip;
mod peers_stage;
mod peers_star;
mod peers_supervise;
mod peers_talk;
mod scenarios;
mod sdp;
mod seat_guide;
mod store;
mod support;
mod survival_disk;
mod survival_input;
mod survival_kill;
mod survival_panic;
mod survival_watch;
mod terminal;
mod tidy;
mod transport;
mod what_if;
mod why;
mod wire_bench;
mod wire_pair;
mod wire_peers;
mod wire_smoke;
mod wire_torture;
