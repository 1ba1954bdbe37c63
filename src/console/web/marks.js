// Marks on numbers (骚扰标记): labels beside a number, and the list with what a supervisor may do. Nothing here ends or holds up a call.
import { $, api, ask, button, el, rows, tag, tell } from '/parts.js';
import { t } from '/text.js';

let marks = [], revision = -1;
const day = (micros) => new Date(micros / 1000).toLocaleDateString();

/// What stands beside a call's number.
export function labels(c) {
  const s = c.screen ?? {};
  const words = (score) => (t().name === 'zh' ? score.zh : score.en).join('; ');
  const told = [
    s.repeated ? tag(t().repeated(s.repeat_calls), 'warm') : null,
    s.mark ? tag(s.mark.state === 'confirmed' ? t().marked : t().suspected, s.mark.state === 'confirmed' ? 'hot' : 'warm') : null,
    s.score?.proposes && !s.mark ? tag(t().look(s.score.points), 'warm') : null,
    c.crew_of ? tag(c.crew_of.seat ? t().crew_of(c.crew_of.seat) : t().crew, 'hot') : null,
    c.crew?.length ? tag(t().crew_sent(c.crew.length), 'blue') : null,
    s.near ? tag(t().near(s.near.metres), 'blue') : null,
  ];
  if (told[1]) told[1].title = s.mark.reason;
  if (told[2]) told[2].title = words(s.score);
  if (told[4]) told[4].title = c.crew.join(' ');
  return told;
}
/// 标记骚扰, where the number can be marked and is not.
export function markButton(c, alive) {
  if (!c.screen?.markable || c.screen.mark) return null;
  return button('mark', t().mark, () => ask({ title: t().ask_mark(c.caller), yes: t().mark, alive, fields: [{ name: 'reason', label: t().ask_reason }], run: (body) => api('POST', '/marks', { call: c.call, ...body }) }));
}
const step = (m, what) => api('POST', `/marks/${m.mark}/${what}`, what === 'lift' ? {} : undefined).then(() => tell(t().done)).catch((error) => tell(error.message, true));

function row(m) {
  const review = m.state === 'confirmed' && m.review_at / 1000 < Date.now();
  const acts = !m.leads ? [] : [
    m.state === 'proposed' ? button('confirm', t().confirm, () => step(m, 'confirm'), { className: 'stop' }) : null,
    button('lift', t().lift, () => step(m, 'lift')),
    el('a', { href: `/api/v1/marks/${m.mark}/evidence`, textContent: t().evidence, download: '' })];
  return el('div', { className: 'row' }, el('span', { className: 'number', textContent: m.number, title: m.number }), tag(m.state === 'confirmed' ? t().marked : t().suspected, m.state === 'confirmed' ? 'hot' : 'warm'),
    review ? tag(t().review, 'warm') : null, el('span', { className: 'dim small grow', textContent: [m.reason, m.proposed_by, m.confirmed_by].filter(Boolean).join(' · ') }), el('span', { className: 'dim small', textContent: t().until(day(m.until)) }), ...acts);
}
export function drawMarks(leads) {
  const open = marks.filter((m) => m.until != null).map((m) => ({ ...m, leads }));
  $('marks-count').textContent = open.length || '';
  rows($('marks'), open.slice(0, 100), (m) => m.mark, row, t().none_mark);
}
/// Asked for again only when they have changed.
export async function refreshMarks(view, leads) {
  if (view.marks_revision === revision) return;
  const now = view.marks_revision, before = revision;
  revision = now;
  try { marks = await api('GET', '/marks'); drawMarks(leads); } catch (error) { revision = before; tell(error.message, true); }
}
