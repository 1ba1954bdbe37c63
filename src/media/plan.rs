//! From who-hears-whom to what is done for each hearer: nothing, forward, play or mix.
//!
//! One source at unity gain in the hearer's codec and packet time is forwarded on arrival; everything else is
//! made on the 20 ms tick. So two parties cost a relay, and a listener who joins changes nothing for them.
//! Refuses to know: sockets, packets, ids of calls.

use super::session::Codec;
use crate::id::LegId;
use crate::matrix::Matrix;

/// What the plan needs to know of a leg.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct LegFacts {
    pub leg: LegId,
    /// None until the far side's description is known.
    pub codec: Option<Codec>,
    /// Packet time it wants from us.
    pub wants_ms: u16,
    /// Packet time it sends.
    pub sends_ms: u16,
    /// We may send to it.
    pub hears: bool,
    /// We take from it.
    pub speaks: bool,
    /// A playback is under way to it.
    pub playing: bool,
}

/// What a hearer gets. Sources are places in the slice of facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    Nothing,
    /// Each packet of that leg on arrival.
    Forward(usize),
    /// The playback alone.
    Play,
    /// The sum of those legs, and the playback if there is one.
    Mix(Vec<usize>),
}

/// One plan per leg, in the order of `legs`.
#[must_use]
pub fn compile(legs: &[LegFacts], matrix: &Matrix) -> Vec<Plan> {
    legs.iter()
        .map(|hearer| plan_for(hearer, legs, matrix))
        .collect()
}

fn plan_for(hearer: &LegFacts, legs: &[LegFacts], matrix: &Matrix) -> Plan {
    if hearer.codec.is_none() || !hearer.hears {
        return Plan::Nothing;
    }
    let sources: Vec<usize> = matrix
        .sources(hearer.leg)
        .filter_map(|source| legs.iter().position(|leg| leg.leg == source))
        .filter(|place| {
            legs.get(*place)
                .is_some_and(|leg| leg.codec.is_some() && leg.speaks && leg.leg != hearer.leg)
        })
        .collect();
    match (sources.as_slice(), hearer.playing) {
        ([], false) => Plan::Nothing,
        ([], true) => Plan::Play,
        ([place], false) if is_same_format(hearer, legs.get(*place)) => Plan::Forward(*place),
        ([..], _) => Plan::Mix(sources),
    }
}

fn is_same_format(hearer: &LegFacts, source: Option<&LegFacts>) -> bool {
    source.is_some_and(|source| source.codec == hearer.codec && source.sends_ms == hearer.wants_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn leg(n: u128) -> LegFacts {
        LegFacts {
            leg: LegId(Uuid::from_u128(n)),
            codec: Some(Codec::Pcma),
            wants_ms: 20,
            sends_ms: 20,
            hears: true,
            speaks: true,
            playing: false,
        }
    }

    fn everyone(legs: &[LegFacts]) -> Matrix {
        Matrix::everyone(&legs.iter().map(|leg| leg.leg).collect::<Vec<_>>())
    }

    #[test]
    fn two_parties_are_forwarded() {
        let legs = [leg(1), leg(2)];
        let plans = compile(&legs, &everyone(&legs));
        assert_eq!(plans, [Plan::Forward(1), Plan::Forward(0)]);
    }

    #[test]
    fn a_listener_leaves_the_two_parties_on_forward() {
        let legs = [leg(1), leg(2), leg(3)];
        let mut matrix = everyone(&legs[..2]);
        matrix.hear(legs[2].leg, legs[0].leg);
        matrix.hear(legs[2].leg, legs[1].leg);
        let plans = compile(&legs, &matrix);
        assert_eq!(
            plans,
            [Plan::Forward(1), Plan::Forward(0), Plan::Mix(vec![0, 1])]
        );
    }

    #[test]
    fn other_codec_packet_time_or_a_playback_is_mixed() {
        let mut ulaw = leg(2);
        ulaw.codec = Some(Codec::Pcmu);
        let mut slow = leg(2);
        slow.sends_ms = 30;
        slow.wants_ms = 30;
        for other in [ulaw, slow] {
            let legs = [leg(1), other];
            let plans = compile(&legs, &everyone(&legs));
            assert_eq!(plans, [Plan::Mix(vec![1]), Plan::Mix(vec![0])]);
        }
        let mut legs = [leg(1), leg(2)];
        legs[0].playing = true;
        let plans = compile(&legs, &everyone(&legs));
        assert_eq!(plans, [Plan::Mix(vec![1]), Plan::Forward(0)]);
    }

    #[test]
    fn who_is_not_connected_held_or_unknown_counts_for_nothing() {
        let mut legs = [leg(1), leg(2)];
        legs[1].codec = None;
        assert_eq!(
            compile(&legs, &everyone(&legs)),
            [Plan::Nothing, Plan::Nothing]
        );
        let mut legs = [leg(1), leg(2)];
        legs[1].speaks = false;
        assert_eq!(
            compile(&legs, &everyone(&legs)),
            [Plan::Nothing, Plan::Forward(0)]
        );
        legs[0].playing = true;
        assert_eq!(compile(&legs, &everyone(&legs))[0], Plan::Play);
        let legs = [leg(1)];
        assert_eq!(
            compile(&legs, &everyone(&[leg(1), leg(9)])),
            [Plan::Nothing]
        );
    }

    proptest! {
        #[test]
        fn each_hears_exactly_whom_the_matrix_says_and_never_itself(
            edges in proptest::collection::vec((0_usize..6, 0_usize..6), 0..30),
            speaks in proptest::collection::vec(any::<bool>(), 6),
            playing in proptest::collection::vec(any::<bool>(), 6),
        ) {
            let mut legs: Vec<_> = (0..6).map(leg).collect();
            for (n, leg) in legs.iter_mut().enumerate() {
                leg.speaks = speaks[n];
                leg.playing = playing[n];
            }
            let mut matrix = Matrix::silent();
            for (a, b) in edges {
                matrix.hear(legs[a].leg, legs[b].leg);
            }
            for (n, plan) in compile(&legs, &matrix).into_iter().enumerate() {
                let mut heard: Vec<usize> = match plan {
                    Plan::Nothing => vec![],
                    Plan::Play => { prop_assert!(playing[n]); vec![] }
                    Plan::Forward(source) => { prop_assert!(!playing[n]); vec![source] }
                    Plan::Mix(sources) => sources,
                };
                heard.sort_unstable();
                let expected: Vec<usize> = (0..6)
                    .filter(|m| *m != n && speaks[*m] && matrix.sources(legs[n].leg).any(|s| s == legs[*m].leg))
                    .collect();
                prop_assert_eq!(heard, expected);
            }
        }
    }
}
