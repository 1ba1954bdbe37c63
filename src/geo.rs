//! Coordinates that always carry their datum. A wrong datum sends the ambulance 100-700 m astray.

use serde::{Deserialize, Serialize};

/// The datum (坐标系) a source speaks in.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Datum {
    #[serde(rename = "WGS84")]
    Wgs84,
    #[serde(rename = "GCJ02")]
    Gcj02,
    #[serde(rename = "BD09")]
    Bd09,
    #[serde(rename = "CGCS2000")]
    Cgcs2000,
}

/// Decimal degrees in the datum that stands beside it.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatLon {
    pub lat: f64,
    pub lon: f64,
}
