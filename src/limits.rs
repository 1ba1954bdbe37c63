//! Named maxima. Every buffer, table and wait of the engine is bounded by one of these or by the configuration.

/// Calls open at once before new INVITEs of a known trunk are answered 503 + Retry-After (with alarm and record).
pub const CALLS_MAX: usize = 4096;
/// Legs of one call.
pub const LEGS_PER_CALL_MAX: usize = 16;
/// Inputs waiting for the switch; past it the edges shed new INVITEs first.
pub const INPUTS_MAX: usize = 8192;
/// Inputs handled before one commit.
pub const BATCH_MAX: usize = 256;
/// Bytes of one SIP message.
pub const SIP_MESSAGE_BYTES_MAX: usize = 65_535;
/// Headers of one SIP message.
pub const SIP_HEADERS_MAX: usize = 200;
/// SIP transactions held at once, client and server together.
pub const SIP_TRANSACTIONS_MAX: usize = 16_384;
/// SIP connections (TCP and TLS) open at once, both ways.
pub const SIP_CONNECTIONS_MAX: usize = 2048;
/// Of these, kept free for trunks and for connections we open.
pub const SIP_CONNECTIONS_RESERVED: usize = 256;
/// Messages waiting to be written to one SIP connection; past it they are dropped and counted.
pub const SIP_CONNECTION_QUEUE_MAX: usize = 256;
/// Calling numbers whose redials, share and seat are remembered.
pub const CALLERS_MAX: usize = 8192;
/// Call-back entries kept open.
pub const CALL_BACKS_MAX: usize = 10_000;
/// Bytes of raw text kept from one header of an INVITE.
pub const HEADER_TEXT_BYTES_MAX: usize = 1024;
/// Bytes of a PIDF-LO body kept from an INVITE.
pub const PIDF_BYTES_MAX: usize = 64 * 1024;
/// Calls remembered after they settled, so that a late report of a module or recorder still finds its call.
pub const PAST_CALLS_MAX: usize = 10_000;
/// INVITE identities remembered, so that a repeated INVITE joins its old record.
pub const RECENT_INVITES_MAX: usize = 2_000;
/// Addresses that stand in `trunk.unknown_source` alarms at once; a scan of the internet must not fill the ledger.
pub const UNKNOWN_SOURCES_MAX: usize = 64;
/// Bytes of a role, reason, outcome or other text given with a command.
pub const COMMAND_TEXT_BYTES_MAX: usize = 512;
/// Numbers of one call's crews.
pub const CREW_NUMBERS_MAX: usize = 8;
/// Calls of the last 12 hours for which crews may still be named or call; those without a crew are forgotten first.
pub const CREW_CALLS_MAX: usize = 4_096;
/// Digits of a number to ring.
pub const NUMBER_DIGITS_MAX: usize = 32;
/// Numbers whose calls of the last day are remembered, and calls remembered together; the oldest is forgotten first.
pub const SEEN_NUMBERS_MAX: usize = 8_192;
/// Calls remembered of one number.
pub const SEEN_PER_NUMBER_MAX: usize = 32;
/// Marks kept, ended ones included. Ended ones go first, then the oldest proposals.
pub const MARKS_MAX: usize = 2_000;
/// Ended calls whose form is kept whole beside the open ones; of older ones only its revision is, their record has the rest.
pub const SHEETS_KEPT: usize = 256;
/// Notes of one call, and bytes of one.
pub const NOTES_MAX: usize = 50;
pub const NOTE_BYTES_MAX: usize = 2_000;
/// Complaints kept, closed ones included; closed ones without a hold go first.
pub const COMPLAINTS_MAX: usize = 500;
/// Calls that one complaint is about.
pub const COMPLAINT_CALLS_MAX: usize = 20;
/// Handovers of shifts kept.
pub const HANDOVERS_MAX: usize = 100;
/// Entries of one list of reasons, areas or call types.
pub const LIST_ENTRIES_MAX: usize = 500;
/// Trunks, cells and areas watched for bursts.
pub const BURST_PLACES_MAX: usize = 512;
/// Calls and positions remembered per place.
pub const BURST_CALLS_MAX: usize = 512;
/// Numbers of one group call or configured group.
pub const GROUP_TARGETS_MAX: usize = 200;
/// Group calls that go on at once.
pub const GROUP_CALLS_MAX: usize = 8;
/// Group calls kept with their tables, ended ones included; older ones are in the journal.
pub const GROUP_CALLS_KEPT: usize = 40;
/// Numbers of group calls on the line at once, over all trunks.
pub const GROUP_LINES_MAX: usize = 60;
/// Retries of one number.
pub const GROUP_RETRIES_MAX: u8 = 3;
/// A supervisor's order puts a waiting call ahead by no more: an hour is before everybody.
pub const AHEAD_MAX: crate::time::Millis = crate::time::Millis::from_secs(3600);
