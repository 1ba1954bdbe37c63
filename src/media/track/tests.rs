use super::*;
use proptest::prelude::*;

/// A small generator (xorshift64*), so that a failing figure can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// One packet of a simulated sender.
#[derive(Copy, Clone, Debug)]
struct Sent {
    /// When it was spoken, in samples of true time.
    spoken: i64,
    /// Its number at the sender, to recognise it in a lane.
    time: PacketTime,
}

struct Network {
    loss: f64,
    reorder: f64,
    doubles: f64,
}

/// A sender whose clock is off by `ppm`, talking 20 ms packets over `spans` of true time (seconds).
fn talk(
    dice: &mut Dice,
    ppm: f64,
    spans: &[(f64, f64)],
    net: &Network,
) -> (Vec<Sent>, Vec<(i64, i64)>) {
    let mut sent = Vec::new();
    let mut lost = Vec::new();
    let (ssrc, first_ts) = (7, u32::MAX - 80_000);
    let mut sequence = 65_000_u16;
    for (from, to) in spans {
        let mut n = 0_u32;
        loop {
            let at = from + f64::from(n) * 0.02 * (1.0 + ppm / 1e6);
            n += 1;
            if at >= *to {
                break;
            }
            // The sender's clock runs on through a hold.
            let ticks = (at / (1.0 + ppm / 1e6) * 8000.0).round() as i64;
            let spoken = (at * 8000.0).round() as i64;
            sequence = sequence.wrapping_add(1);
            if dice.roll() < net.loss {
                lost.push((spoken, spoken + 160));
                continue;
            }
            let swap = if dice.roll() < net.reorder {
                0.025
            } else {
                0.0
            };
            let delay = 0.030 + dice.roll() * 0.004 + swap;
            let packet = Sent {
                spoken,
                time: PacketTime {
                    arrived: ((at + delay) * 8000.0) as i64,
                    ssrc,
                    rtp_timestamp: first_ts.wrapping_add(ticks as u32),
                    sequence,
                    samples: 160,
                },
            };
            sent.push(packet);
            if dice.roll() < net.doubles {
                let mut double = packet;
                double.time.arrived += 16;
                sent.push(double);
            }
        }
    }
    sent.sort_by_key(|p| p.time.arrived);
    (sent, lost)
}

/// Place everything; gives per packet (sent, position, whether it brought audio) and the lane's end.
fn place(packets: &[Sent], end: i64) -> (Vec<(Sent, i64, bool)>, Heard) {
    let mut survey = Survey::default();
    for packet in packets {
        survey.note(&packet.time);
    }
    let mut clock = survey.into_clock();
    let mut lane = Lane::new(end);
    let mut fresh = Vec::new();
    let mut placed = Vec::new();
    for packet in packets {
        let at = clock.place(&packet.time);
        lane.claim(at, at + i64::from(packet.time.samples), &mut fresh);
        placed.push((*packet, at, !fresh.is_empty()));
        lane.settle(packet.time.arrived - 4 * 8000);
    }
    (placed, lane.finish())
}

fn runs(lost: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for (from, to) in lost {
        match runs.last_mut() {
            Some(run) if from - run.1 < 8 => run.1 = *to,
            _ => runs.push((*from, *to)),
        }
    }
    runs
}

#[test]
fn an_hour_of_loss_reorder_doubles_and_drift_keeps_both_tracks_together() {
    let net = Network {
        loss: 0.05,
        reorder: 0.10,
        doubles: 0.02,
    };
    let hour = 3600 * 8000;
    let mut least = i64::MAX;
    let mut most = i64::MIN;
    for (seed, ppm) in [(11, 100.0), (12, -100.0)] {
        let mut dice = Dice(seed);
        let spans = [(0.5, 1500.0), (1530.0, 3599.0)];
        let (packets, mut lost) = talk(&mut dice, ppm, &spans, &net);
        lost.extend([(0, 4000), (1500 * 8000, 1530 * 8000), (3599 * 8000, hour)]);
        lost.sort_unstable();
        let doubles = packets.len() as u64
            - packets
                .iter()
                .map(|p| p.spoken)
                .collect::<std::collections::BTreeSet<_>>()
                .len() as u64;
        let (placed, heard) = place(&packets, hour);
        let mut seconds = std::collections::BTreeSet::new();
        for (sent, at, fresh) in &placed {
            if *fresh {
                least = least.min(at - sent.spoken);
                most = most.max(at - sent.spoken);
                seconds.insert(sent.spoken / 8000);
            }
        }
        assert!(seconds.len() > 3560, "{} seconds measured", seconds.len());
        assert_eq!(heard.doubles, doubles, "each double dropped, nothing else");
        assert_eq!(heard.late, 0);
        // Every hole of 60 ms and more is listed (one of 40 ms may shrink by a sample of drift), no other is.
        let runs = runs(&lost);
        let listed = |run: &&(i64, i64)| {
            heard
                .gaps
                .iter()
                .any(|g| g.0 <= run.0 + 600 && g.1 >= run.1 - 200)
        };
        let holes: Vec<_> = runs.iter().filter(|r| r.1 - r.0 >= 480).collect();
        assert!(holes.len() > 15, "{}", holes.len());
        assert_eq!(holes.iter().filter(|r| listed(r)).count(), holes.len());
        assert!(heard.gaps.len() < GAPS_MAX);
        for gap in &heard.gaps {
            assert!(
                runs.iter()
                    .any(|r| gap.0 > r.0 - 400 && gap.1 < r.1 + 600 && r.1 - r.0 >= 316),
                "invented gap {gap:?}"
            );
        }
        let silent: i64 = runs.iter().map(|(a, b)| b - a).sum();
        assert!(
            (heard.samples + silent - hour).abs() < 8000,
            "{heard:?}, silent {silent}"
        );
    }
    println!("tracks and arrival clock apart: {least}..{most} samples");
    assert!(
        most - least <= 40 * MS,
        "tracks apart by up to {} samples",
        most - least
    );
}

#[test]
fn drift_is_corrected_by_single_samples_without_holes() {
    let net = Network {
        loss: 0.0,
        reorder: 0.0,
        doubles: 0.0,
    };
    for ppm in [-100.0, 100.0] {
        let (packets, _) = talk(&mut Dice(3), ppm, &[(0.0, 3600.0)], &net);
        let (placed, heard) = place(&packets, 3600 * 8000);
        for pair in placed.windows(2) {
            let step = pair[1].1 - pair[0].1;
            assert!((159..=161).contains(&step), "{step}");
        }
        assert_eq!(heard.gaps.len(), 0, "{:?}", heard.gaps);
        assert!((heard.samples - 3600 * 8000).abs() < 800);
    }
}

fn steady(from_ms: i64, count: u16, ssrc: u32, ts: u32, sequence: u16) -> Vec<Sent> {
    (0..count)
        .map(|n| Sent {
            spoken: (from_ms + i64::from(n) * 20) * MS,
            time: PacketTime {
                arrived: (from_ms + i64::from(n) * 20) * MS,
                ssrc,
                rtp_timestamp: ts.wrapping_add(u32::from(n) * 160),
                sequence: sequence.wrapping_add(n),
                samples: 160,
            },
        })
        .collect()
}

#[test]
fn a_new_ssrc_goes_where_it_arrived_and_a_late_packet_of_the_old_one_too() {
    let mut packets = steady(0, 100, 1, 500, 0);
    let mut late = packets.remove(99);
    packets.extend(steady(2000, 100, 2, 4_000_000_000, 9000));
    late.time.arrived = 2050 * MS;
    packets.push(late);
    packets.sort_by_key(|p| p.time.arrived);
    let (placed, heard) = place(&packets, 4000 * MS);
    for (sent, at, fresh) in &placed {
        assert!(
            *fresh && (at - sent.spoken).abs() <= FAR_STEP,
            "{sent:?} at {at}"
        );
    }
    assert_eq!(heard.gaps, vec![]);
}

#[test]
fn a_timestamp_jump_of_the_same_ssrc_is_anchored_at_once() {
    for jump in [8_000_000_u32, 0_u32.wrapping_sub(8_000_000)] {
        let mut packets = steady(0, 100, 1, 500, 0);
        packets.extend(steady(2000, 100, 1, 500 + 16_000 + jump % 7, 100));
        for packet in packets.iter_mut().skip(100) {
            packet.time.rtp_timestamp = packet.time.rtp_timestamp.wrapping_add(jump);
        }
        let (placed, _) = place(&packets, 4000 * MS);
        assert!(placed.iter().all(|(p, at, _)| *at == p.spoken), "{jump}");
    }
}

#[test]
fn a_stalled_network_that_delivers_all_at_once_moves_nothing() {
    let mut packets = steady(0, 300, 1, 500, 0);
    for packet in &mut packets[100..140] {
        packet.time.arrived = 2800 * MS;
    }
    let (placed, heard) = place(&packets, 6000 * MS);
    assert!(placed.iter().all(|(p, at, _)| *at == p.spoken));
    assert_eq!(heard.gaps, vec![]);
}

#[test]
fn a_stream_that_begins_with_a_delayed_burst_is_placed_by_its_prompt_packets() {
    let mut packets = steady(0, 100, 1, 500, 0);
    for packet in &mut packets[..15] {
        packet.time.arrived = 300 * MS;
    }
    let (placed, _) = place(&packets, 2000 * MS);
    assert!(placed.iter().all(|(p, at, _)| *at == p.spoken));
}

#[test]
fn a_sender_that_stops_its_clock_on_hold_is_moved_to_where_it_comes_back() {
    let mut packets = steady(0, 100, 1, 500, 0);
    packets.extend(steady(32_000, 100, 1, 500 + 16_000, 100));
    let (placed, heard) = place(&packets, 34_000 * MS);
    assert!(placed.iter().all(|(p, at, _)| *at == p.spoken));
    assert_eq!(heard.gaps, vec![(2000 * MS, 32_000 * MS)]);
}

#[test]
fn silence_suppression_leaves_a_gap_of_its_true_length() {
    let mut packets = steady(0, 50, 1, 500, 0);
    packets.extend(steady(4000, 50, 1, 500 + 32_000, 50));
    let (placed, heard) = place(&packets, 5000 * MS);
    assert!(placed.iter().all(|(p, at, _)| *at == p.spoken));
    assert_eq!(heard.gaps, vec![(1000 * MS, 4000 * MS)]);
    assert_eq!(heard.samples, 2000 * MS);
}

#[test]
fn a_longer_network_path_is_followed_within_two_seconds() {
    let mut packets = steady(0, 500, 1, 500, 0);
    for packet in &mut packets[250..] {
        packet.time.arrived += 60 * MS;
    }
    let (placed, _) = place(&packets, 10_100 * MS);
    for (sent, at, _) in &placed[350..] {
        assert!((sent.time.arrived - at).abs() <= 21 * MS);
    }
    for pair in placed.windows(2) {
        assert!((pair[1].1 - pair[0].1 - 160).abs() <= FAR_STEP);
    }
}

#[test]
fn a_sender_that_changes_ssrc_all_the_time_costs_bounded_memory() {
    let packets: Vec<_> = (0..20_000_u32)
        .map(|n| Sent {
            spoken: i64::from(n) * 160,
            time: PacketTime {
                arrived: i64::from(n) * 160,
                ssrc: n,
                rtp_timestamp: n.wrapping_mul(0x9E37_79B9),
                sequence: 0,
                samples: 160,
            },
        })
        .collect();
    let mut survey = Survey::default();
    for packet in &packets {
        survey.note(&packet.time);
    }
    assert!(survey.floors.len() <= EPOCHS_MAX);
    let (placed, _) = place(&packets, 20_000 * 160);
    assert!(placed.iter().all(|(p, at, _)| *at == p.spoken));
}

/// What a lane should hold: one cell per sample.
fn naive(claims: &[(i64, i64)], end: i64) -> Vec<bool> {
    let mut cells = vec![false; usize::try_from(end).unwrap()];
    for (from, to) in claims {
        for at in (*from).max(0)..(*to).min(end) {
            cells[usize::try_from(at).unwrap()] = true;
        }
    }
    cells
}

proptest! {
    #[test]
    fn a_lane_gives_each_sample_to_one_packet_and_lists_every_gap(
        claims in prop::collection::vec((-100_i64..4000, 1_i64..400), 0..40)
    ) {
        let end = 4100;
        let claims: Vec<_> = claims.into_iter().map(|(a, len)| (a, a + len)).collect();
        let mut lane = Lane::new(end);
        let mut fresh = Vec::new();
        let mut given = vec![0_u32; 4100];
        for (from, to) in &claims {
            lane.claim(*from, *to, &mut fresh);
            for (a, b) in &fresh {
                prop_assert!(a < b);
                prop_assert!(*a >= from - SEAM && *b <= to + SEAM);
                for at in *a..*b {
                    given[usize::try_from(at).unwrap()] += 1;
                }
            }
        }
        prop_assert!(given.iter().all(|n| *n <= 1), "a sample given twice");
        let wanted = naive(&claims, end);
        for (n, want) in wanted.iter().enumerate() {
            if *want {
                prop_assert_eq!(given[n], 1, "sample {} of a packet lost", n);
            }
        }
        let heard = lane.finish();
        prop_assert_eq!(heard.samples, given.iter().map(|n| i64::from(*n)).sum::<i64>());
        // The gaps are exactly the holes of what was given.
        let mut gaps = Vec::new();
        let mut hole = None;
        for (n, count) in given.iter().chain([&1]).enumerate() {
            let n = i64::try_from(n).unwrap();
            match (count, hole) {
                (0, None) => hole = Some(n),
                (1, Some(from)) => { gaps.push((from, n)); hole = None; }
                _ => {}
            }
        }
        gaps.retain(|(a, b)| b - a >= GAP_MIN);
        prop_assert_eq!(heard.gaps, gaps);
    }

    #[test]
    fn settling_changes_neither_coverage_nor_gaps_of_packets_in_time(
        steps in prop::collection::vec((0_i64..800, 0_i64..800), 1..60)
    ) {
        let end = 60_000;
        let (mut settled, mut whole) = (Lane::new(end), Lane::new(end));
        let mut fresh = Vec::new();
        let mut now = 0;
        for (step, back) in steps {
            now += step;
            let at = now - back.min(now);
            settled.claim(at, at + 160, &mut fresh);
            whole.claim(at, at + 160, &mut fresh);
            settled.settle(now - 1000);
        }
        prop_assert_eq!(settled.finish(), whole.finish());
    }

    #[test]
    fn any_packets_are_placed_without_panic_and_alike_in_both_passes(
        packets in prop::collection::vec((any::<i32>(), 0_u32..4, any::<u32>(), any::<u16>(), 0_u16..480), 0..200)
    ) {
        let packets: Vec<_> = packets.into_iter().map(|(arrived, ssrc, rtp_timestamp, sequence, samples)| Sent {
            spoken: 0,
            time: PacketTime { arrived: i64::from(arrived), ssrc, rtp_timestamp, sequence, samples },
        }).collect();
        let (_, heard) = place(&packets, 1_000_000);
        prop_assert!(heard.samples <= 1_000_000);
    }
}

#[test]
fn after_a_pause_a_packet_goes_at_once_where_it_belongs() {
    // 15 ms more delay from the second talk spurt on: too little to jump for, too much to keep.
    let mut packets = steady(0, 50, 1, 500, 0);
    packets.extend(steady(4000, 50, 1, 500 + 32_000, 50));
    for packet in &mut packets[50..] {
        packet.time.arrived += 15 * MS;
    }
    let (placed, _) = place(&packets, 5100 * MS);
    assert!(placed.iter().all(|(p, at, _)| *at == p.time.arrived));
}
