//! PIDF-LO (RFC 4119, 5139, 5491, 7459): positions that stand in the INVITE itself. Pure; the only place that names
//! the XML crate.
//!
//! Owns: points, circles and other shapes as a point with a radius that holds them, civic addresses, and the datum that
//! each was given in. Refuses: document types and entities, more than [`crate::limits::PIDF_BYTES_MAX`] bytes, depth and
//! element counts past its limits, a position whose datum it does not know. Namespaces are not looked at: carriers
//! write prefixes and versions as they like, and the local names are unique.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::geo::{Datum, LatLon, distance_m};
use crate::limits::PIDF_BYTES_MAX;
use crate::switch::{Location, LocationSource, Shape};

const DEPTH_MAX: usize = 32;
const ELEMENTS_MAX: usize = 2000;
const LOCATIONS_MAX: usize = 8;
const CIVIC_CHARS_MAX: usize = 256;
const RADIUS_M_MAX: f64 = 1_000_000.0;

/// Why a body gave no location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PidfError {
    /// Longer than is kept of one.
    #[error("{got} bytes, at most {max} are read")]
    TooLong { got: usize, max: usize },
    /// Not well-formed.
    #[error("no XML at byte {at}")]
    NotXml { at: u64 },
    /// A document type or an entity: nobody needs them here, and they are an old way to attack.
    #[error("holds a document type or an entity, which is refused")]
    DocumentType,
    /// Nested or repeated without end.
    #[error("more than {max} {what}")]
    TooMany { what: &'static str, max: usize },
    /// Well-formed, but no position and no address in it.
    #[error("names no location")]
    NoLocation,
    /// A position in a reference system that is not known; guessing would send the ambulance astray.
    #[error("srsName {got:?} is no known datum")]
    UnknownDatum { got: String },
}

/// All locations of a body, in their order, at most eight.
///
/// # Errors
/// [`PidfError`] when none can be had. One bad location beside a good one is left out.
pub fn parse(body: &str) -> Result<Vec<Location>, PidfError> {
    if body.len() > PIDF_BYTES_MAX {
        return Err(PidfError::TooLong {
            got: body.len(),
            max: PIDF_BYTES_MAX,
        });
    }
    let root = tree(body)?;
    let mut found = Vec::new();
    let mut first_error = None;
    walk(&root, None, None, &mut |location| match location {
        Ok(location) if found.len() < LOCATIONS_MAX => found.push(location),
        Ok(_) => {}
        Err(error) => drop(first_error.get_or_insert(error)),
    });
    if found.is_empty() {
        return Err(first_error.unwrap_or(PidfError::NoLocation));
    }
    Ok(found)
}

#[derive(Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first element of that name below this one.
    fn below(&self, name: &str) -> Option<&Element> {
        self.children.iter().find_map(|child| {
            if child.name == name {
                Some(child)
            } else {
                child.below(name)
            }
        })
    }

    fn number(&self, name: &str) -> Option<f64> {
        let value: f64 = self.below(name)?.text.trim().parse().ok()?;
        value.is_finite().then_some(value)
    }
}

fn tree(body: &str) -> Result<Element, PidfError> {
    let mut reader = Reader::from_str(body.trim_start_matches('\u{FEFF}'));
    // The outermost entry is a stand-in that takes in the root.
    let mut open = vec![Element::default()];
    let mut elements = 0;
    loop {
        let event = reader.read_event().map_err(|_| PidfError::NotXml {
            at: reader.error_position(),
        })?;
        if matches!(event, Event::Start(_) | Event::Empty(_)) {
            elements += 1;
        }
        if elements > ELEMENTS_MAX {
            return Err(PidfError::TooMany {
                what: "elements",
                max: ELEMENTS_MAX,
            });
        }
        if open.len() > DEPTH_MAX {
            return Err(PidfError::TooMany {
                what: "levels",
                max: DEPTH_MAX,
            });
        }
        let not_xml = PidfError::NotXml {
            at: reader.buffer_position(),
        };
        match event {
            Event::Start(start) => open.push(element(&start)),
            Event::Empty(start) => {
                let parent = open.last_mut().ok_or(not_xml)?;
                parent.children.push(element(&start));
            }
            Event::End(_) => {
                let done = open.pop().ok_or(PidfError::NoLocation)?;
                open.last_mut().ok_or(not_xml)?.children.push(done);
            }
            Event::Text(text) => add_text(&mut open, &text.xml10_content()),
            Event::CData(text) => add_text(&mut open, &text.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = match &*reference.xml10_content() {
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "amp" => Some('&'),
                    "quot" => Some('"'),
                    "apos" => Some('\''),
                    _ => reference.resolve_char_ref().ok().flatten(),
                };
                let character = character.ok_or(PidfError::DocumentType)?;
                add_text(&mut open, character.encode_utf8(&mut [0; 4]));
            }
            Event::DocType(_) => return Err(PidfError::DocumentType),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    let mut rest = open.into_iter();
    match (rest.next(), rest.next()) {
        (Some(root), None) => Ok(root),
        _ => Err(PidfError::NotXml {
            at: reader.buffer_position(),
        }),
    }
}

fn add_text(open: &mut [Element], text: &str) {
    if let Some(inner) = open.last_mut() {
        inner.text.push_str(text);
    }
}

fn element(start: &BytesStart<'_>) -> Element {
    let attributes = start
        .attributes()
        .filter_map(Result::ok)
        .map(|attribute| {
            let name = local(attribute.key.local_name().as_ref());
            (name, attribute.value.to_string())
        })
        .collect();
    Element {
        name: local(start.local_name().as_ref()),
        attributes,
        text: String::new(),
        children: Vec::new(),
    }
}

fn local(name: &str) -> String {
    name.to_owned()
}

/// Looks for `location-info` with the datum and time that hold where it stands.
fn walk(
    element: &Element,
    datum: Option<&str>,
    measured_at: Option<&str>,
    found: &mut dyn FnMut(Result<Location, PidfError>),
) {
    let datum = element.attribute("srsName").or(datum);
    let here = element.child("timestamp").map(|time| time.text.trim());
    let measured_at = here.or(measured_at);
    if element.name != "location-info" {
        for child in &element.children {
            walk(child, datum, measured_at, found);
        }
        return;
    }
    let confidence = element
        .number("confidence")
        .filter(|percent| (0.0..=100.0).contains(percent))
        // In range, so nothing is cut but the fraction.
        .and_then(|percent| format!("{percent:.0}").parse().ok());
    let civic = element.below("civicAddress").and_then(civic);
    let mut positions = 0;
    for shape in &element.children {
        let datum = shape.attribute("srsName").or(datum);
        let has_heights = datum.is_some_and(|name| name.ends_with("4979"))
            || shape.attribute("srsDimension") == Some("3");
        let Some(area) = area(shape, has_heights) else {
            continue;
        };
        positions += 1;
        found(datum_of(datum).map(|datum| Location {
            source: LocationSource::Pidf,
            datum,
            point: Some(area.centre),
            shape: if area.radius_m.is_some() {
                Shape::Circle
            } else {
                Shape::Point
            },
            radius_m: area.radius_m,
            confidence_pct: confidence,
            civic: if positions == 1 { civic.clone() } else { None },
            measured_at: moment(measured_at),
        }));
    }
    if let Some(civic) = civic
        && positions == 0
    {
        found(Ok(Location {
            source: LocationSource::Pidf,
            datum: Datum::Wgs84,
            point: None,
            shape: Shape::Civic,
            radius_m: None,
            confidence_pct: confidence,
            civic: Some(civic),
            measured_at: moment(measured_at),
        }));
    }
}

/// An RFC 3339 time, kept as it was written.
fn moment(text: Option<&str>) -> Option<String> {
    let text = text?;
    text.parse::<jiff::Timestamp>().ok()?;
    Some(text.to_owned())
}

/// A point, with the radius of a circle around it that holds the whole shape.
struct Area {
    centre: LatLon,
    radius_m: Option<f64>,
}

fn area(shape: &Element, has_heights: bool) -> Option<Area> {
    let point = || position(&shape.below("pos")?.text);
    let radius = |name: &str| metres(shape, name);
    match shape.name.as_str() {
        "Point" => Some(Area {
            centre: point()?,
            radius_m: None,
        }),
        "Circle" | "Sphere" => Some(Area {
            centre: point()?,
            radius_m: radius("radius"),
        }),
        "Ellipse" | "Ellipsoid" => Some(Area {
            centre: point()?,
            radius_m: radius("semiMajorAxis"),
        }),
        "ArcBand" => Some(Area {
            centre: point()?,
            radius_m: radius("outerRadius"),
        }),
        "Polygon" | "Prism" => polygon(shape, has_heights),
        _ => None,
    }
}

fn polygon(shape: &Element, has_heights: bool) -> Option<Area> {
    let corners = match shape.below("posList") {
        Some(list) => positions(&list.text, if has_heights { 3 } else { 2 }),
        None => {
            let ring = shape.below("LinearRing")?;
            let corners = ring.children.iter().filter(|child| child.name == "pos");
            corners.filter_map(|pos| position(&pos.text)).collect()
        }
    };
    let (south, north) = span(corners.iter().map(|corner| corner.lat))?;
    let (west, east) = span(corners.iter().map(|corner| corner.lon))?;
    let centre = LatLon::new(f64::midpoint(south, north), f64::midpoint(west, east))?;
    let radius = corners
        .iter()
        .map(|corner| distance_m(centre, *corner))
        .fold(0.0, f64::max);
    Some(Area {
        centre,
        radius_m: Some(radius),
    })
}

fn span(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |span, value| match span {
        None => Some((value, value)),
        Some((low, high)) => Some((low.min(value), high.max(value))),
    })
}

/// `lat lon [height] lat lon [height] ...`, `step` values each.
fn positions(text: &str, step: usize) -> Vec<LatLon> {
    let values: Option<Vec<f64>> = text
        .split_whitespace()
        .map(|value| value.parse().ok())
        .collect();
    values
        .unwrap_or_default()
        .chunks_exact(step)
        .filter_map(|position| LatLon::new(*position.first()?, *position.get(1)?))
        .collect()
}

/// One `pos`: two values, or three with a height.
fn position(text: &str) -> Option<LatLon> {
    let step = text.split_whitespace().count();
    if !(2..=3).contains(&step) {
        return None;
    }
    positions(text, step).into_iter().next()
}

/// A length in metres (EPSG 9001, also when no unit is written).
fn metres(shape: &Element, name: &str) -> Option<f64> {
    let unit = shape.below(name)?.attribute("uom").unwrap_or("9001");
    let value = shape.number(name)?;
    (unit.ends_with("9001") && (0.0..=RADIUS_M_MAX).contains(&value)).then_some(value)
}

/// RFC 5491 knows EPSG 4326 and 4979 only (WGS 84, latitude first). Sources in China that tag another datum do it by name.
fn datum_of(name: Option<&str>) -> Result<Datum, PidfError> {
    let Some(name) = name else {
        return Ok(Datum::Wgs84);
    };
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    let ends = |codes: &[&str]| codes.iter().any(|code| plain.ends_with(code));
    if ends(&["4326", "4979", "wgs84", "crs84"]) {
        Ok(Datum::Wgs84)
    } else if ends(&["gcj02"]) {
        Ok(Datum::Gcj02)
    } else if ends(&["bd09", "bd09ll"]) {
        Ok(Datum::Bd09)
    } else if ends(&["4490", "4480", "cgcs2000"]) {
        Ok(Datum::Cgcs2000)
    } else {
        Err(PidfError::UnknownDatum {
            got: name.chars().take(80).collect(),
        })
    }
}

/// One line, from the province to the room. Chinese addresses run together, others are parted by spaces.
fn civic(address: &Element) -> Option<String> {
    const PARTS: [&str; 21] = [
        "A1", "A2", "A3", "A4", "A5", "A6", "PRD", "RD", "STS", "POD", "HNO", "HNS", "LMK", "NAM",
        "BLD", "UNIT", "FLR", "ROOM", "SEAT", "LOC", "ADDCODE",
    ];
    let parts: Vec<&str> = PARTS
        .iter()
        .filter_map(|name| address.child(name))
        .map(|part| part.text.trim())
        .filter(|text| !text.is_empty())
        .collect();
    let chinese = parts
        .iter()
        .any(|part| part.chars().any(|c| ('\u{4E00}'..='\u{9FFF}').contains(&c)));
    let line = parts.join(if chinese { "" } else { " " });
    let line: String = line
        .chars()
        .filter(|c| !c.is_control())
        .take(CIVIC_CHARS_MAX)
        .collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn presence(location_info: &str) -> String {
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10"
  xmlns:cl="urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr" xmlns:gml="http://www.opengis.net/gml"
  xmlns:gs="http://www.opengis.net/pidflo/1.0" entity="pres:1@example.com">
 <tuple id="a"><status><gp:geopriv><gp:location-info>{location_info}</gp:location-info>
  <gp:usage-rules/><gp:method>GPS</gp:method></gp:geopriv></status>
  <timestamp>2026-11-22T00:30:02Z</timestamp></tuple></presence>"#
        )
    }

    const CIRCLE: &str = r#"<gs:Circle srsName="urn:ogc:def:crs:EPSG::4326"><gml:pos>22.5431 114.0579</gml:pos>
        <gs:radius uom="urn:ogc:def:uom:EPSG::9001">350</gs:radius></gs:Circle>
        <con:confidence xmlns:con="urn:ietf:params:xml:ns:geopriv:conf" pdf="normal">67</con:confidence>"#;

    #[test]
    fn a_circle_gives_point_radius_confidence_and_time() {
        let found = parse(&presence(CIRCLE)).unwrap();
        assert_eq!(
            found,
            [Location {
                source: LocationSource::Pidf,
                datum: Datum::Wgs84,
                point: Some(LatLon {
                    lat: 22.5431,
                    lon: 114.0579
                }),
                shape: Shape::Circle,
                radius_m: Some(350.0),
                confidence_pct: Some(67),
                civic: None,
                measured_at: Some(String::from("2026-11-22T00:30:02Z")),
            }]
        );
    }

    #[test]
    fn a_point_with_height_and_a_civic_address_are_one_location() {
        let body = presence(
            r#"<gml:Point srsName="urn:ogc:def:crs:EPSG::4979"><gml:pos>22.5431 114.0579 12.5</gml:pos></gml:Point>
            <cl:civicAddress><cl:country>CN</cl:country><cl:A1>广东省</cl:A1><cl:A2>深圳市</cl:A2><cl:A3>福田区</cl:A3>
            <cl:RD>深南大道</cl:RD><cl:HNO>1006号</cl:HNO><cl:FLR>3楼</cl:FLR></cl:civicAddress>"#,
        );
        let found = parse(&body).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].shape, Shape::Point);
        assert_eq!(found[0].point, LatLon::new(22.5431, 114.0579));
        assert_eq!(
            found[0].civic.as_deref(),
            Some("广东省深圳市福田区深南大道1006号3楼")
        );
    }

    #[test]
    fn an_address_alone_is_a_location() {
        let body = presence(
            "<cl:civicAddress><cl:A1>NSW</cl:A1><cl:RD>Elm</cl:RD><cl:STS>St</cl:STS></cl:civicAddress>",
        );
        let found = parse(&body).unwrap();
        assert_eq!((found[0].shape, found[0].point), (Shape::Civic, None));
        assert_eq!(found[0].civic.as_deref(), Some("NSW Elm St"));
    }

    #[test]
    fn the_datum_is_taken_from_the_tag_and_never_guessed() {
        let with = |srs: &str| {
            parse(&presence(
                &CIRCLE.replace("urn:ogc:def:crs:EPSG::4326", srs),
            ))
        };
        for (srs, datum) in [
            ("EPSG:4326", Datum::Wgs84),
            ("urn:ogc:def:crs:EPSG::4490", Datum::Cgcs2000),
            ("urn:cn:crs:GCJ-02", Datum::Gcj02),
            ("urn:cn:crs:BD-09", Datum::Bd09),
        ] {
            assert_eq!(with(srs).unwrap()[0].datum, datum, "{srs}");
        }
        assert_eq!(
            with("urn:ogc:def:crs:EPSG::3857"),
            Err(PidfError::UnknownDatum {
                got: String::from("urn:ogc:def:crs:EPSG::3857")
            })
        );
    }

    #[test]
    fn larger_shapes_become_the_circle_that_holds_them() {
        let ellipse = presence(
            r#"<gs:Ellipse srsName="urn:ogc:def:crs:EPSG::4326"><gml:pos>22.5 114</gml:pos>
            <gs:semiMajorAxis uom="urn:ogc:def:uom:EPSG::9001">75</gs:semiMajorAxis>
            <gs:semiMinorAxis uom="urn:ogc:def:uom:EPSG::9001">50</gs:semiMinorAxis></gs:Ellipse>"#,
        );
        assert_eq!(parse(&ellipse).unwrap()[0].radius_m, Some(75.0));
        let polygon = presence(
            r#"<gml:Polygon srsName="urn:ogc:def:crs:EPSG::4326"><gml:exterior><gml:LinearRing>
            <gml:posList>22.50 114.00 22.50 114.02 22.52 114.02 22.52 114.00 22.50 114.00</gml:posList>
            </gml:LinearRing></gml:exterior></gml:Polygon>"#,
        );
        let found = &parse(&polygon).unwrap()[0];
        let centre = found.point.unwrap();
        assert!((centre.lat - 22.51).abs() < 1e-9 && (centre.lon - 114.01).abs() < 1e-9);
        let corner = distance_m(
            centre,
            LatLon {
                lat: 22.50,
                lon: 114.00,
            },
        );
        assert!((found.radius_m.unwrap() - corner).abs() < 5.0);
        let with_heights = polygon
            .replace("4326", "4979")
            .replace(" 114.00 ", " 114.00 9 ")
            .replace(" 114.02 ", " 114.02 9 ")
            .replace(" 114.00</", " 114.00 9</");
        assert_eq!(parse(&with_heights).unwrap()[0].point, Some(centre));
    }

    #[test]
    fn other_prefixes_and_old_namespaces_are_read_all_the_same() {
        let body = presence(CIRCLE)
            .replace("gp:", "x:")
            .replace("gml:", "")
            .replace("gs:", "z:");
        assert_eq!(parse(&body).unwrap().len(), 1);
    }

    #[test]
    fn a_document_type_or_an_entity_is_refused() {
        let body = presence(CIRCLE);
        let with_dtd = body.replace("<presence", "<!DOCTYPE p [<!ENTITY a \"b\">]><presence");
        assert_eq!(parse(&with_dtd), Err(PidfError::DocumentType));
        assert_eq!(
            parse(&body.replace("22.5431", "&a;")),
            Err(PidfError::DocumentType)
        );
        let escaped =
            presence("<cl:civicAddress><cl:LMK>A &amp; B &#x4E2D;</cl:LMK></cl:civicAddress>");
        assert_eq!(
            parse(&escaped).unwrap()[0].civic.as_deref(),
            Some("A & B 中")
        );
    }

    #[test]
    fn a_body_without_end_is_refused() {
        let deep = "<a>".repeat(DEPTH_MAX + 5);
        assert_eq!(
            parse(&deep),
            Err(PidfError::TooMany {
                what: "levels",
                max: DEPTH_MAX
            })
        );
        let wide = format!("<a>{}</a>", "<b/>".repeat(ELEMENTS_MAX + 5));
        assert_eq!(
            parse(&wide),
            Err(PidfError::TooMany {
                what: "elements",
                max: ELEMENTS_MAX
            })
        );
        let long = " ".repeat(PIDF_BYTES_MAX + 1);
        assert!(matches!(parse(&long), Err(PidfError::TooLong { .. })));
        for body in ["", "<a>", "<a></b>", "no xml", "<a/>", "</a>", "\u{0}"] {
            assert!(parse(body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn a_position_off_the_earth_is_left_out() {
        let body = presence(&CIRCLE.replace("22.5431", "122.5"));
        assert_eq!(parse(&body), Err(PidfError::NoLocation));
        let body = presence(&CIRCLE.replace("350", "-1"));
        assert_eq!(parse(&body).unwrap()[0].radius_m, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(body in ".{0,300}", at in 0_usize..600, with in "[<>&/a-z\"= ]{0,12}") {
            let _ = parse(&body);
            let mut broken = presence(CIRCLE);
            if broken.is_char_boundary(at) {
                broken.insert_str(at, &with);
            }
            let _ = parse(&broken);
        }
    }
}
