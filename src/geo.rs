//! Coordinates that always carry their datum. A wrong datum sends the ambulance 100-700 m astray.
//!
//! Owns: the datum words, conversion between them, and distance. Refuses to know: maps, addresses, who measured what.
//! The conversion of GCJ-02 and BD-09 is the published approximation (crate `coordtransform`, whose outline of the
//! region is (c) OpenStreetMap contributors, ODbL 1.0); more than about 15 km outside that region both equal WGS 84.
//! CGCS2000 and WGS 84 differ by less than a metre and are taken as equal.

use serde::{Deserialize, Serialize};

/// The datum (坐标系) a source speaks in.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Datum {
    /// GNSS, PIDF-LO, AML.
    #[serde(rename = "WGS84")]
    Wgs84,
    /// Maps for the public: Amap, Tencent, WeChat.
    #[serde(rename = "GCJ02")]
    Gcj02,
    /// Baidu.
    #[serde(rename = "BD09")]
    Bd09,
    /// Official maps; equal to WGS 84 within a metre.
    #[serde(rename = "CGCS2000")]
    Cgcs2000,
}

/// Decimal degrees in the datum that stands beside it.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatLon {
    pub lat: f64,
    pub lon: f64,
}

impl LatLon {
    /// A position on Earth: finite, latitude within ±90 and longitude within ±180 degrees.
    #[must_use]
    pub fn new(lat: f64, lon: f64) -> Option<Self> {
        // A NaN is in no range.
        ((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon))
            .then_some(Self { lat, lon })
    }
}

/// `point`, given in `datum`, in WGS 84. Unchanged abroad.
#[must_use]
pub fn to_wgs84(datum: Datum, point: LatLon) -> LatLon {
    if is_abroad(point) {
        return point;
    }
    let (lon, lat) = match datum {
        Datum::Wgs84 | Datum::Cgcs2000 => (point.lon, point.lat),
        Datum::Gcj02 => coordtransform::gcj02_to_wgs84_in_mainland(point.lon, point.lat),
        Datum::Bd09 => {
            let (lon, lat) = coordtransform::bd09_to_gcj02(point.lon, point.lat);
            coordtransform::gcj02_to_wgs84_in_mainland(lon, lat)
        }
    };
    LatLon { lat, lon }
}

/// `point`, given in WGS 84, in `datum`. Unchanged abroad.
#[must_use]
pub fn from_wgs84(datum: Datum, point: LatLon) -> LatLon {
    if is_abroad(point) {
        return point;
    }
    let (lon, lat) = match datum {
        Datum::Wgs84 | Datum::Cgcs2000 => (point.lon, point.lat),
        Datum::Gcj02 => coordtransform::wgs84_to_gcj02_in_mainland(point.lon, point.lat),
        Datum::Bd09 => {
            let (lon, lat) = coordtransform::wgs84_to_gcj02_in_mainland(point.lon, point.lat);
            coordtransform::gcj02_to_bd09(lon, lat)
        }
    };
    LatLon { lat, lon }
}

/// Whether no part of the mainland lies within `MARGIN_DEG`. The outline is coarse: by itself it takes Shekou in
/// Shenzhen for abroad, which would leave a caller there half a kilometre off. A centre serves the mainland, so a doubt
/// at the outline counts as mainland.
fn is_abroad(point: LatLon) -> bool {
    const MARGIN_DEG: f64 = 0.15;
    let steps = [-MARGIN_DEG, 0.0, MARGIN_DEG];
    !steps.iter().any(|lat| {
        steps
            .iter()
            .any(|lon| coordtransform::is_in_mainland_china(point.lon + lon, point.lat + lat))
    })
}

/// Metres between two positions of the same datum on a sphere of the mean Earth radius; within 0.5 % of the truth.
#[must_use]
pub fn distance_m(a: LatLon, b: LatLon) -> f64 {
    const EARTH_RADIUS_M: f64 = 6_371_008.8;
    let (lat_a, lat_b) = (a.lat.to_radians(), b.lat.to_radians());
    let half_lat = (lat_b - lat_a) / 2.0;
    let half_lon = (b.lon - a.lon).to_radians() / 2.0;
    let h = half_lat.sin().powi(2) + lat_a.cos() * lat_b.cos() * half_lon.sin().powi(2);
    2.0 * EARTH_RADIUS_M * h.clamp(0.0, 1.0).sqrt().asin()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIANANMEN_WGS84: LatLon = LatLon {
        lat: 39.907_333,
        lon: 116.391_083,
    };
    const DATUMS: [Datum; 4] = [Datum::Wgs84, Datum::Gcj02, Datum::Bd09, Datum::Cgcs2000];

    #[test]
    fn the_offset_of_the_public_maps_is_hundreds_of_metres_and_is_taken_back() {
        for (datum, metres) in [(Datum::Gcj02, 100.0..900.0), (Datum::Bd09, 300.0..2000.0)] {
            let there = from_wgs84(datum, TIANANMEN_WGS84);
            assert!(
                metres.contains(&distance_m(there, TIANANMEN_WGS84)),
                "{datum:?}"
            );
            assert!(distance_m(to_wgs84(datum, there), TIANANMEN_WGS84) < 0.5);
        }
    }

    #[test]
    fn a_position_in_shenzhen_beside_the_outline_is_converted_both_ways() {
        // Civic centre, Luohu station, Shekou, Yantian, Dapeng.
        for (lat, lon) in [
            (22.5431, 114.0579),
            (22.5317, 114.1175),
            (22.4853, 113.9130),
            (22.5570, 114.2370),
        ] {
            let point = LatLon { lat, lon };
            let gcj = from_wgs84(Datum::Gcj02, point);
            assert!(
                distance_m(point, gcj) > 100.0,
                "{point:?} is taken as abroad"
            );
            assert!(
                distance_m(to_wgs84(Datum::Gcj02, gcj), point) <= 0.5,
                "{point:?}"
            );
        }
    }

    #[test]
    fn outside_china_nothing_moves() {
        for (lat, lon) in [
            (35.681, 139.767),
            (48.858, 2.294),
            (1.352, 103.82),
            (-33.86, 151.2),
        ] {
            let point = LatLon { lat, lon };
            for datum in DATUMS {
                assert_eq!(to_wgs84(datum, point), point, "{datum:?}");
                assert_eq!(from_wgs84(datum, point), point, "{datum:?}");
            }
        }
    }

    #[test]
    fn a_position_off_the_earth_is_none() {
        assert!(LatLon::new(22.5, 114.05).is_some());
        for (lat, lon) in [
            (91.0, 0.0),
            (0.0, 181.0),
            (f64::NAN, 0.0),
            (0.0, f64::INFINITY),
        ] {
            assert!(LatLon::new(lat, lon).is_none());
        }
    }

    #[test]
    fn one_degree_of_latitude_is_111_km() {
        let metres = distance_m(
            LatLon {
                lat: 22.0,
                lon: 114.0,
            },
            LatLon {
                lat: 23.0,
                lon: 114.0,
            },
        );
        assert!((metres - 111_195.0).abs() < 10.0, "{metres}");
    }

    proptest! {
        #[test]
        fn there_and_back_is_within_half_a_metre(lat in 24.0..40.0_f64, lon in 100.0..116.0_f64) {
            let point = LatLon { lat, lon };
            for datum in DATUMS {
                let back = to_wgs84(datum, from_wgs84(datum, point));
                prop_assert!(distance_m(point, back) <= 0.5, "{:?} {:?}", datum, back);
            }
        }

        #[test]
        fn any_bits_convert_without_a_panic(lat: f64, lon: f64) {
            for datum in DATUMS {
                let _ = to_wgs84(datum, LatLon { lat, lon });
                let _ = from_wgs84(datum, LatLon { lat, lon });
            }
        }
    }
}
